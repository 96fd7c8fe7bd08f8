"""VJP rows of running reductions and integrals along one dim."""

from __future__ import annotations

import numpy as np

from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term


def running(name: str) -> Vjp:
    """A helper of the cotangent, the input and the result; of a scalar, the cotangent."""

    def row(g: Row) -> Cotangents:
        x, dim, d = g["input"].to(g.out.dtype), g.const("dim"), g.d
        if x.ndim == 0:
            return {"input": d}
        x, y = x.conj(), g.out.conj()
        return {"input": g.tape.op(name, like=d, d=d, input=x, y=y, dim=dim)}

    return row


def cumsum(g: Row) -> Cotangents:
    return {"input": reversed_cumsum(g.d, g.const("dim"))}


def reversed_cumsum(d: Term, dim: int) -> Term:
    """Sums from each element to the end."""
    return d.tape.op("cumsum_backward", like=d, d=d, dim=dim) if d.ndim else d


def chosen(g: Row) -> Cotangents:
    """The cotangents go to the indices that were returned."""
    x, dim = g["input"], g.const("dim")
    if x.ndim == 0:
        return {"input": g.d}
    return {
        "input": g.tape.op(
            "scatter_add", like=x,
            input=x.zeros_like(), dim=dim % x.ndim, index=g.outs[1], src=g.d,
        )
    }  # fmt: skip


def trapezoid(cumulative: bool) -> Vjp:
    """By the cotangents of the areas between neighbours."""

    def row(g: Row) -> Cotangents:
        y, dim = g["y"], g.const("dim", -1)
        d = g.d
        d = reversed_cumsum(d, dim) if cumulative else d.unsqueeze(dim % y.ndim)
        args = {"d": d, "y": y, **g.others("y")}
        if not g.has("x"):
            return {"y": g.tape.op("areas_backward", like=y, **args)}
        x = g["x"]
        found = g.tape.op("areas_backward", like=y, **{**args, "x": x.conj()})
        shape, witness = x.shape, x.witness
        if x.ndim > 1:
            shape = np.broadcast_shapes(x.shape, y.shape)
            witness = np.broadcast_shapes(x.witness, y.witness)
        positions = g.tape.op(
            "positions_backward", dtype=y.dtype, shape=shape, witness=witness,
            **{**args, "y": y.conj()},
        )  # fmt: skip
        return {"y": found, "x": positions}

    return row


VJP: dict[str, Vjp] = {
    "cumsum": cumsum,
    "cumprod": running("cumprod_backward"),
    "logcumsumexp": running("logcumsumexp_backward"),
    "cummax": chosen,
    "cummin": chosen,
    "trapezoid": trapezoid(cumulative=False),
    "trapz": trapezoid(cumulative=False),
    "cumulative_trapezoid": trapezoid(cumulative=True),
}
