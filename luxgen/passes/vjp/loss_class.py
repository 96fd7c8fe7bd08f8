"""VJP rows of losses of class scores."""

from __future__ import annotations

from typing import Any

from luxgen.ir.values import Value
from luxgen.passes.vjp.activation import along_channels
from luxgen.passes.vjp.loss import reduction
from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term, settled

OPTIONS = ("weight", "ignore_index", "label_smoothing", "p", "margin")


def by_helper(name: str) -> Vjp:
    """Row: the cotangent of scores for given classes, which have none."""

    def row(g: Row) -> Cotangents:
        return {"input": of_scores(g, name, g["input"])}

    return row


def of_scores(g: Row, name: str, scores: Term) -> Term:
    args: dict[str, Any] = {"d": g.d, "input": scores, "target": g["target"]}
    args |= {key: g.arg(key) for key in OPTIONS if g.has(key)}
    args["reduction"] = reduction(g)
    return g.tape.op(f"{name}_backward", like=scores, **args)


def cross_entropy(g: Row) -> Cotangents:
    if g["target"].ndim < g["input"].ndim:
        return {"input": of_scores(g, "cross_entropy", g["input"])}
    return of_probabilities(g, g["input"])


def of_probabilities(g: Row, x: Term) -> Cotangents:
    """Of scores x for probabilities; smoothing mixes in the uniform distribution."""
    target, smoothing = g["target"], g.const("label_smoothing", 0.0)
    dim = 1 if x.ndim > 1 else 0
    p = target
    if smoothing:
        p = target * (1 - smoothing) + smoothing / x.size(dim)
    d = g.d
    if reduction(g) == "mean":
        d = d if x.ndim == 1 else d / (x.numel / x.size(1))
    elif reduction(g) == "none" and x.ndim > 1:
        d = d.unsqueeze(1)
    log_p = x.unary("log_softmax", dim=dim)
    found: Cotangents = {}
    d_log_p = -(d * p)
    if g.has("weight"):
        weight = along_channels(g["weight"], x.ndim)
        d_weight = settled(d_log_p * log_p, weight)
        found["weight"] = d_weight.reshape_as(g["weight"])
        d_log_p = d_log_p * weight
        d = d * weight
    total = d_log_p.sum(dim, keepdim=True)
    found["input"] = d_log_p - x.unary("softmax", dim=dim) * total
    found["target"] = -(d * log_p) * (1 - smoothing)
    return found


def linear_cross_entropy(g: Row) -> Cotangents:
    """The scores are computed again: their cotangent is the loss's, the rest linear."""
    x, weight, target = g["input"], g["linear_weight"], g["target"]
    name = "linear_cross_entropy_scores"
    args = {key: g[key] for key in ("input", "linear_weight")}
    if g.has("linear_bias"):
        args["linear_bias"] = g["linear_bias"]
    scores: Term = g.tape.emit(name, args, Value(
        x.dtype,
        (*x.shape[:-1], *weight.shape[:-1]),
        (*x.witness[:-1], *weight.witness[:-1]),
    ))  # fmt: skip
    if target.ndim < scores.ndim:
        found: Cotangents = {"input": of_scores(g, "cross_entropy", scores)}
    else:
        found = of_probabilities(g, scores)
    d = found.pop("input")
    outs = tuple(Value(t.dtype, t.shape, t.witness) for t in (x, weight))
    args = {"d_scores": d, "input": x, "weight": weight}
    found["input"], found["linear_weight"] = g.tape.emit(
        "linear_cross_entropy_backward", args, outs
    )
    if g.has("linear_bias"):
        found["linear_bias"] = d
    return found


def ctc_loss(g: Row) -> Cotangents:
    scores = g["log_probs"]
    args = {**g.op.args, "reduction": reduction(g), "d": g.d}
    return {"log_probs": g.tape.op("ctc_loss_backward", like=scores, **args)}


VJP: dict[str, Vjp] = {
    "nll_loss": by_helper("nll_loss"),
    "nll_loss_nd": by_helper("nll_loss"),
    "multi_margin_loss": by_helper("multi_margin_loss"),
    "multilabel_margin_loss": by_helper("multilabel_margin_loss"),
    "cross_entropy": cross_entropy,
    "cross_entropy_loss": cross_entropy,
    "linear_cross_entropy": linear_cross_entropy,
    "ctc_loss": ctc_loss,
}
