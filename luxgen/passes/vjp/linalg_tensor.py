"""VJP rows of tensors as matrices, and of condition numbers."""

from __future__ import annotations

from typing import Any

from luxgen.passes.vjp.norm import same
from luxgen.passes.vjp.row import Cotangents, Row, Vjp


def tensorinv(g: Row) -> Cotangents:
    x, args = g["input"], {"d": g.d, "y": g.out, **g.others("input")}
    return {"input": g.tape.op("tensorinv_backward", like=x, **args)}


def tensorsolve(g: Row) -> Cotangents:
    x, other = g["input"], g["other"]
    args: dict[str, Any] = {"d": g.d, "input": x, "other": other, "y": g.out}
    if g.has("dims"):
        args["dims"] = tuple(k % x.ndim for k in g.const("dims"))
    outs = (same(x), same(other))
    d_x, d_other = g.tape.emit("tensorsolve_backward", args, outs)
    return {"input": d_x, "other": d_other}


def cond(g: Row) -> Cotangents:
    x, p = g["input"], g.const("p")
    options = {} if p is None else {"p": p}
    return {"input": g.tape.op("cond_backward", like=x, d=g.d, input=x, **options)}


VJP: dict[str, Vjp] = {
    "linalg_tensorinv": tensorinv,
    "linalg_tensorsolve": tensorsolve,
    "linalg_cond": cond,
}
