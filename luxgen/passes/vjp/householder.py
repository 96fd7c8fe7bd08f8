"""VJP rows of products of Householder reflections."""

from __future__ import annotations

from typing import Any

from luxgen.passes.vjp.norm import same
from luxgen.passes.vjp.row import Cotangents, Row, Vjp


def householder_product(g: Row) -> Cotangents:
    x, tau = g["input"], g["tau"]
    args: dict[str, Any] = {"d": g.d, "input": x, "tau": tau}
    outs = (same(x), same(tau))
    d_x, d_tau = g.tape.emit("householder_product_backward", args, outs)
    return {"input": d_x, "tau": d_tau}


def ormqr(g: Row) -> Cotangents:
    names = ("input", "input2", "input3")
    outs = tuple(same(g[name]) for name in names)
    found = g.tape.emit("ormqr_backward", {"d": g.d, **g.op.args}, outs)
    return dict(zip(names, found, strict=True))


VJP: dict[str, Vjp] = {
    "linalg_householder_product": householder_product,
    "ormqr": ormqr,
}
