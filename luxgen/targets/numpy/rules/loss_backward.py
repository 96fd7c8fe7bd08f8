"""Ops that gradients of losses add."""

from __future__ import annotations

from luxgen.targets.numpy.rules.forms import batched, call, pointwise, promoted_tensors
from luxgen.targets.numpy.rules.loss import linear_scores
from luxgen.targets.numpy.rules.op import CALL, Op, Rule


def of_classes(op: Op) -> str:
    """Of scores (N, C, ...) or (C,) and classes (N, ...) or ()."""
    text = call(op, op.name)
    if op.ndim("input") > 1:
        return text
    names = ["input", "target"]
    if op.name == "multi_margin_loss_backward" and op.ndim("target"):
        names.remove("target")
    depth = "[0]"
    if op.name == "multi_margin_loss_backward" and not op.ndim("input"):
        names.append("input")  # one sample of one class
        depth = "[0, 0]"
    if op.const("reduction", "mean") == "none" and not op.ndim("d"):
        names.append("d")
    return f"{batched(text, *names)}{depth}"


def between(op: Op) -> str:
    """Rule: cotangents of all that a loss is between, promoted."""
    return promoted_tensors(op, call(op, op.name))


def ctc_loss_backward(op: Op) -> str:
    """Lengths may be numbers; without a batch, they and the scores gain one."""
    text = call(op, "ctc_loss_backward")
    lengths = ("input_lengths", "target_lengths")
    for name in lengths:
        if not op.is_tensor(name):
            text = text.replace(f" {name}", f" np.array({name})")
    if op.ndim("log_probs") == 3:
        return text
    text = text.replace("log_probs", "log_probs[:, None]")
    for name in lengths:
        text = text.replace(f" {name}", f" {name}.reshape(1)")
    return f"{text}[:, 0]"


RULES: dict[str, Rule] = {
    "binary_cross_entropy_target_backward": pointwise(),
    "cosine_embedding_loss_backward": between,
    "triplet_margin_loss_backward": between,
    "nll_loss_backward": of_classes,
    "cross_entropy_backward": of_classes,
    "multi_margin_loss_backward": of_classes,
    "multilabel_margin_loss_backward": of_classes,
    "linear_cross_entropy_scores": linear_scores,
    "linear_cross_entropy_backward": CALL,
    "ctc_loss_backward": ctc_loss_backward,
}
