"""VJP rows of losses between numbers: regression, likelihoods, divergences, margins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from luxgen.ir.loss_reduction import asked_reduction
from luxgen.passes.vjp.distance import broadcast
from luxgen.passes.vjp.row import Cotangents, NoGradient, Row, Vjp
from luxgen.passes.vjp.terms import Term


def reduction(g: Row) -> str:
    """The reduction asked for, in any of torch's three ways."""
    average, reduce = g.const("size_average"), g.const("reduce")
    return asked_reduction(average, reduce, g.const("reduction", "mean"))


def share(g: Row, loss: Term) -> Term:
    """The cotangent of each entry of the loss, which has the shape of `loss`."""
    return g.d / loss.numel if reduction(g) == "mean" else g.d


def present(g: Row, **found: Any) -> Cotangents:
    """The cotangents of those arguments that the op has as tensors."""
    return {name: term for name, term in found.items() if g.is_tensor(name)}


def mse_loss(g: Row) -> Cotangents:
    difference = g["input"] - g["target"]
    return of_difference(g, difference, 2 * difference, difference * difference)


def l1_loss(g: Row) -> Cotangents:
    difference = g["input"] - g["target"]
    size = difference.unary("abs")
    return of_difference(g, difference, difference.unary("sign"), size)


def of_difference(g: Row, difference: Term, slope: Term, loss: Term) -> Cotangents:
    """With a weight the mean divides by the sum of the weights."""
    if not g.has("weight"):
        d = share(g, difference) * slope
        return {"input": d, "target": -d}
    weight = g["weight"]
    mean = reduction(g) == "mean"
    each = g.d / weight.sum() if mean else g.d
    d = each * weight * slope
    d_weight = each * (loss - g.out if mean else loss)
    return {"input": d, "target": -d, "weight": d_weight}


def smooth_l1_loss(g: Row) -> Cotangents:
    beta = g.const("beta", 1.0)
    if beta == 0:
        return l1_loss(g)
    difference = g["input"] - g["target"]
    slope = (difference if beta == 1 else difference / beta).unary(
        "clamp", min=-1, max=1
    )
    d = share(g, difference) * slope
    return {"input": d, "target": -d}


def huber_loss(g: Row) -> Cotangents:
    delta = g.const("delta", 1.0)
    difference = g["input"] - g["target"]
    slope = difference.unary("clamp", min=-delta, max=delta)
    each = share(g, difference)
    if not g.has("weight"):
        return {"input": each * slope, "target": -(each * slope)}
    args: dict[str, Any] = {"input": g["input"], "target": g["target"], "delta": delta}
    plain = g.tape.op("huber_loss", like=difference, reduction="none", **args)
    d = each * g["weight"] * slope
    return {"input": d, "target": -d, "weight": each * plain}


def weighted(g: Row, each: Term) -> Term:
    return each * g["weight"] if g.has("weight") else each


def binary_cross_entropy(g: Row) -> Cotangents:
    x, target = g["input"], g["target"]
    each = weighted(g, share(g, x))
    curvature = (x * (1 - x)).unary("clamp_min", min=1e-12)
    name = "binary_cross_entropy_target_backward"
    return {
        "input": each * (x - target) / curvature,
        "target": g.tape.op(name, like=x, d=each.expand_as(x), input=x),
    }


def binary_cross_entropy_with_logits(g: Row) -> Cotangents:
    x, target = g["input"], g["target"]
    each, p = weighted(g, share(g, x)), x.unary("sigmoid")
    if not g.has("pos_weight"):
        return {"input": each * (p - target), "target": each * -x}
    positive = g["pos_weight"] * target
    rest = (1 - g["pos_weight"]) * x.unary("logsigmoid")
    return {
        "input": each * ((positive + 1 - target) * p - positive),
        "target": each * (rest - x),
    }


def kl_div(g: Row) -> Cotangents:
    x, target = g["input"], g["target"]
    loss = x - target
    if reduction(g) == "batchmean":
        each = g.d / loss.size(0) if loss.ndim else g.d
    else:
        each = share(g, loss)
    if not g.const("log_target", False):
        slope = target.unary("log") + 1 - x
        return {"input": -(each * target), "target": each * slope}
    p = target.unary("exp")
    return {"input": -(each * p), "target": each * p * (1 - loss)}


def poisson_nll_loss(g: Row) -> Cotangents:
    """`full` adds Stirling's term where target > 1."""
    x, target = g["input"], g["target"]
    if g.const("log_input", True):
        slope, slope_target = x.unary("exp") - target, -x
        each = share(g, slope)
    else:
        shifted = x + g.const("eps", 1e-8)
        slope, slope_target = 1 - target / shifted, -shifted.unary("log")
        each = share(g, slope)
    if g.const("full", False):
        t = target.unary("clamp_min", min=1)
        stirling = t.unary("log") + 0.5 / t
        slope_target = slope_target + (target > 1).where(stirling, 0)
    return {"input": each * slope, "target": each * slope_target}


def gaussian_nll_loss(g: Row) -> Cotangents:
    """As in torch, a variance below eps keeps its slope."""
    difference, eps = g["input"] - g["target"], g.const("eps", 1e-6)
    if not g.is_tensor("var"):
        d = share(g, difference) * difference / max(g.const("var"), eps)
        return {"input": d, "target": -d}
    var = g["var"]
    x = g["input"]
    per_row = var.ndim == x.ndim - 1 and (var.shape, var.witness) == (
        x.shape[:-1],
        x.witness[:-1],
    )
    held = (var.unsqueeze(-1) if per_row else var).unary("clamp_min", min=eps)
    scaled = difference / held
    each = share(g, scaled)
    d = each * scaled
    d_var = each * 0.5 * (1 - difference * scaled) / held
    if per_row:
        d_var = d_var.sum(-1)
    return present(g, input=d, target=-d, var=d_var)


def soft_margin_loss(g: Row) -> Cotangents:
    x, target = g["input"], g["target"]
    z = target * x
    d = -(share(g, z) * (-z).unary("sigmoid"))
    return {"input": d * target, "target": d * x}


def hinge_embedding_loss(g: Row) -> Cotangents:
    x, target = g["input"], g["target"]
    violated = target.ne(1) & (x <= g.const("margin", 1.0))
    each = share(g, violated)
    return {"input": target.ne(-1).where(each, 0) - violated.where(each, 0)}


def margin_ranking_loss(g: Row) -> Cotangents:
    target = g["target"]
    gap = g["input1"] - g["input2"]
    violated = target * gap <= g.const("margin", 0.0)
    d = violated.where(share(g, violated), 0)
    return {"input1": -(d * target), "input2": d * target, "target": -(d * gap)}


def multilabel_soft_margin_loss(g: Row) -> Cotangents:
    """The mean over the classes (last dim), then the reduction."""
    x, target = g["input"], g["target"]
    each = g.d
    if reduction(g) == "none":
        each = each.unsqueeze(-1) / x.size(-1)
    else:
        each = each / (x.numel if reduction(g) == "mean" else x.size(-1))
    found = {"target": -(weighted(g, each) * x)}
    found["input"] = weighted(g, each) * (x.unary("sigmoid") - target)
    if g.has("weight"):
        name = "binary_cross_entropy_with_logits"
        args: dict[str, Any] = {"input": x, "target": target, "reduction": "none"}
        found["weight"] = each * g.tape.op(name, like=x, **args)
    return found


def by_helper(name: str, *arguments: str, options: tuple[str, ...]) -> Vjp:
    """Row: an op that gives the cotangents of `arguments`, as they are broadcast."""

    def row(g: Row) -> Cotangents:
        terms = {key: g[key] for key in arguments}
        given = {key: g.arg(key) for key in ("target", *options) if g.has(key)}
        args = {"d": g.d, **terms, **given, "reduction": reduction(g)}
        outs = tuple(broadcast(*terms.values()) for _ in arguments)
        found = g.tape.emit(f"{name}_backward", args, outs)
        return dict(zip(arguments, found, strict=True))

    return row


def triplet_margin_with_distance_loss(g: Row) -> Cotangents:
    """The front end lets only torch's own distance pass, with its options."""
    given, args = g.const("distance_function"), g.others("distance_function")
    if type(given).__name__ == "PairwiseDistance":
        args |= {"p": given.norm, "eps": given.eps}
    return triplet_margin_loss(replace(g, op=replace(g.op, args=args)))


def triplet_margin_loss(g: Row) -> Cotangents:
    if g["anchor"].is_complex and g.const("p", 2.0) != 2:
        reason = f"{g.op.name} of complex numbers with p = {g.const('p')}"
        raise NoGradient(reason, "write it with abs and sum")
    return triplets(g)


triplets = by_helper(
    "triplet_margin_loss", "anchor", "positive", "negative",
    options=("margin", "p", "eps", "swap"),
)  # fmt: skip

VJP: dict[str, Vjp] = {
    "mse_loss": mse_loss,
    "l1_loss": l1_loss,
    "smooth_l1_loss": smooth_l1_loss,
    "huber_loss": huber_loss,
    "binary_cross_entropy": binary_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "kl_div": kl_div,
    "poisson_nll_loss": poisson_nll_loss,
    "gaussian_nll_loss": gaussian_nll_loss,
    "soft_margin_loss": soft_margin_loss,
    "hinge_embedding_loss": hinge_embedding_loss,
    "margin_ranking_loss": margin_ranking_loss,
    "multilabel_soft_margin_loss": multilabel_soft_margin_loss,
    "cosine_embedding_loss": by_helper(
        "cosine_embedding_loss", "input1", "input2", options=("margin",)
    ),
    "triplet_margin_loss": triplet_margin_loss,
    "triplet_margin_with_distance_loss": triplet_margin_with_distance_loss,
}
