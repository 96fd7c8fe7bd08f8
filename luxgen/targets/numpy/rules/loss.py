"""Losses of torch.nn.functional."""

from __future__ import annotations

from luxgen.ir.loss_reduction import asked_reduction
from luxgen.targets.numpy.rules.forms import batched, call, promoted_tensors, scalar
from luxgen.targets.numpy.rules.op import Op, Refused, Rule

LEGACY = ("size_average", "reduce", "reduction")


def reduction(op: Op) -> str:
    """The reduction asked for, in any of torch's three ways."""
    average, reduce = op.const("size_average"), op.const("reduce")
    return asked_reduction(average, reduce, op.const("reduction", "mean"))


def loss(op: Op, name: str, *drop: str, more: str = "", **rename: str) -> str:
    """The call of helper `name` with the reduction as its option."""
    how = reduction(op)
    options = [more] if more else []
    if how != "mean":
        options.append(f"reduction={how!r}")
    return call(op, name, *LEGACY, *drop, more=", ".join(options), **rename)


def between(op: Op) -> str:
    """Rule: of numbers and numbers, promoted."""
    return scalar(op, promoted_tensors(op, loss(op, op.name)))


def of_classes(op: Op) -> str:
    """Rule: of scores (N, C, ...) or (C,) and classes (N, ...) or ()."""
    return unbatched(op, loss(op, op.name))


def unbatched(op: Op, text: str) -> str:
    """`text` on a batch of one where there is no batch."""
    if op.ndim("input") > 1:
        return text
    names = ["input", "target"]
    if op.name == "multi_margin_loss":
        if op.ndim("target"):
            names.remove("target")
        if not op.ndim("input"):  # one sample of one class
            names.append("input")
    text = batched(text, *names)
    return f"{text}[0]" if reduction(op) == "none" and not op.out_ndim else text


def cross_entropy(op: Op) -> str:
    if op.ndim("target") < op.ndim("input"):
        return of_classes(op)
    return unbatched(op, loss(op, "cross_entropy_soft", "ignore_index"))


def linear_scores(op: Op) -> str:
    """The scores of linear_cross_entropy."""
    scores = "linear(input, linear_weight)"
    if op.ndim("linear_weight") > 2:
        scores = "np.tensordot(input, linear_weight, (-1, -1))"
    if op.has("linear_bias"):
        scores = f"{scores} + linear_bias"
    return scores


def linear_cross_entropy(op: Op) -> str:
    """torch's `options` say how it splits the work: the loss is the same."""
    scores = linear_scores(op)
    name, drop = "cross_entropy", ["input", "linear_weight", "linear_bias", "options"]
    if op.ndim("target") == op.ndim("input") + op.ndim("linear_weight") - 2:
        name = "cross_entropy_soft"
        drop.append("ignore_index")
    text = loss(op, name, *drop).replace("(", f"({scores}, ", 1)
    return unbatched(op, text)


def gaussian_nll_loss(op: Op) -> str:
    if op.is_tensor("var"):
        return between(op)
    text = loss(op, "gaussian_nll_loss").replace("var", "np.asarray(var, input.dtype)")
    return scalar(op, promoted_tensors(op, text))


def triplet_margin_loss(op: Op) -> str:
    return scalar(op, promoted_tensors(op, loss(op, "triplet_margin_loss")))


def triplet_margin_with_distance_loss(op: Op) -> str:
    """Only by torch's own distance: an nn.PairwiseDistance, or none given."""
    given, more = op.const("distance_function"), ""
    if type(given).__name__ == "PairwiseDistance" and not given.keepdim:
        more = f"p={given.norm!r}, eps={given.eps!r}"
    elif given is not None and given.__name__ != "pairwise_distance":
        raise Refused(
            "triplet_margin_with_distance_loss with a function of yours",
            "write the loss out: relu(distance(a, p) - distance(a, n) + margin)",
        )
    text = loss(op, "triplet_margin_loss", "distance_function", more=more)
    return scalar(op, promoted_tensors(op, text))


def cosine_embedding_loss(op: Op) -> str:
    text = promoted_tensors(op, loss(op, "cosine_embedding_loss"))
    return scalar(op, text) if op.ndim("input1") == 1 else text


def ctc_loss(op: Op) -> str:
    """Lengths may be numbers; without a batch, they and the scores gain one."""
    text = loss(op, "ctc_loss")
    for name in ("input_lengths", "target_lengths"):
        if not op.is_tensor(name):
            text = text.replace(f" {name}", f" np.array({name})")
    if op.ndim("log_probs") == 3:
        return text
    text = text.replace("log_probs", "log_probs[:, None]")
    for name in ("input_lengths", "target_lengths"):
        text = text.replace(f" {name}", f" {name}.reshape(1)")
    return f"{text}[0]" if reduction(op) == "none" else text


BETWEEN = (
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "kl_div", "poisson_nll_loss",
    "soft_margin_loss", "hinge_embedding_loss", "margin_ranking_loss",
    "multilabel_soft_margin_loss",
)  # fmt: skip

RULES: dict[str, Rule] = {
    **dict.fromkeys(BETWEEN, between),
    "nll_loss": of_classes,
    "nll_loss_nd": of_classes,
    "multi_margin_loss": of_classes,
    "multilabel_margin_loss": of_classes,
    "cross_entropy": cross_entropy,
    "cross_entropy_loss": cross_entropy,
    "linear_cross_entropy": linear_cross_entropy,
    "gaussian_nll_loss": gaussian_nll_loss,
    "cosine_embedding_loss": cosine_embedding_loss,
    "triplet_margin_loss": triplet_margin_loss,
    "triplet_margin_with_distance_loss": triplet_margin_with_distance_loss,
    "ctc_loss": ctc_loss,
}
