"""VJP rows of distances and similarities of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from luxgen.ir.values import Value
from luxgen.passes.vjp.row import Cotangents, NoGradient, Row, Vjp
from luxgen.passes.vjp.terms import Term


def broadcast(*terms: Term) -> Value:
    """A value in the common shape of `terms`."""
    shape = np.broadcast_shapes(*(t.shape for t in terms))
    witness = np.broadcast_shapes(*(t.witness for t in terms))
    return Value(terms[0].dtype, shape, witness)


def cosine_similarity(g: Row) -> Cotangents:
    x1, x2 = g["x1"], g["x2"]
    args = {"d": g.d, "x1": x1, "x2": x2, **g.others("x1", "x2")}
    outs = (broadcast(x1, x2), broadcast(x1, x2))
    d_x1, d_x2 = g.tape.emit("cosine_similarity_backward", args, outs)
    return {"x1": d_x1, "x2": d_x2}


def through_norm(g: Row, difference: Term, size: Term, d: Term, **more: Any) -> Term:
    p = g.const("p", 2.0)
    if difference.is_complex and p != 2:
        reason = f"{g.op.name} of complex numbers with p = {p}"
        raise NoGradient(reason, "write it with abs and sum")
    args: dict[str, Any] = {
        "d": d,
        "input": difference,
        "size": size,
        "p": float(p),
        **more,
    }
    return g.tape.op("p_norm_backward", like=difference, **args)


def pairwise_distance(g: Row) -> Cotangents:
    d, y = g.d, g.out
    if not g.const("keepdim", False):
        d, y = d.unsqueeze(-1), y.unsqueeze(-1)
    difference = g["x1"] - g["x2"] + g.const("eps", 1e-6)
    found = through_norm(g, difference, y, d)
    return {"x1": found, "x2": -found}


def dist(g: Row) -> Cotangents:
    found = through_norm(g, g["input"] - g["other"], g.out, g.d, axis=None)
    return {"input": found, "other": -found}


def cdist(g: Row) -> Cotangents:
    x1, x2, y = g["x1"], g["x2"], g.out
    args = {"d": g.d, **g.op.args, "y": y}
    outs = []
    for x in (x1, x2):
        sizes = (*y.shape[:-2], *x.shape[-2:]), (*y.witness[:-2], *x.witness[-2:])
        outs.append(Value(y.dtype, *sizes))
    d_x1, d_x2 = g.tape.emit("cdist_backward", args, tuple(outs))
    return {"x1": d_x1, "x2": d_x2}


def pdist(g: Row) -> Cotangents:
    x = g["input"]
    args = {"d": g.d, "input": x, "y": g.out, **g.others("input")}
    return {"input": g.tape.op("pdist_backward", like=x, **args)}


VJP: dict[str, Vjp] = {
    "cosine_similarity": cosine_similarity,
    "pairwise_distance": pairwise_distance,
    "dist": dist,
    "cdist": cdist,
    "pdist": pdist,
}
