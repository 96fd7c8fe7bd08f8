"""VJP rows of sorting and selecting by order."""

from __future__ import annotations

from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term


def ordered(g: Row) -> Cotangents:
    """The cotangent goes back to the indices that were returned."""
    if g["input"].ndim == 0:
        return {"input": g.d}
    return {"input": placed(g, g.const("dim", -1), g.outs[1])}


def placed(g: Row, dim: int, index: Term) -> Term:
    x = g["input"]
    return g.tape.op(
        "scatter", like=x, input=x.zeros_like(), dim=dim, index=index, src=g.d
    )


def msort(g: Row) -> Cotangents:
    x = g["input"]
    if x.ndim == 0:
        return {"input": g.d}
    index = g.tape.op("argsort", like=x, dtype="int64", input=x, dim=0)
    return {"input": placed(g, 0, index)}


VJP: dict[str, Vjp] = {"sort": ordered, "topk": ordered, "msort": msort}
