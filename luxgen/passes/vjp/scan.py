"""VJP rows of running reductions, differences and integrals along one dim."""

from __future__ import annotations

import numpy as np

from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term


def running(name: str) -> Vjp:
    """A helper of the cotangent, the input and the result; of a scalar, the cotangent."""

    def row(g: Row) -> Cotangents:
        x, dim = g["input"], g.const("dim")
        if x.ndim == 0:
            return {"input": g.d}
        d = g.d
        return {"input": g.tape.op(name, like=d, d=d, input=x, y=g.out, dim=dim)}

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


def diff(g: Row) -> Cotangents:
    """Differences are linear: the way back is to the joined array, then cut."""
    dim, n = g.const("dim", -1), g.const("n", 1)
    if n == 0:
        return {"input": g.d}
    names = [name for name in ("prepend", "input", "append") if g.has(name)]
    parts = [g[name] for name in names]
    axis = dim % parts[0].ndim
    sizes = [part.size(axis) for part in parts]
    length = sizes[0]
    for size in sizes[1:]:
        length = length + size

    def joined(k: int) -> tuple[int, ...]:
        shapes = [p.witness if k else p.shape for p in parts]
        full = list(shapes[names.index("input")])
        full[axis] = sum(s[axis] for s in shapes)
        return tuple(full)

    d = g.tape.op(
        "diff_backward", like=g.d, shape=joined(0), witness=joined(1),
        d=g.d, n=n, dim=axis, size=length,
    )  # fmt: skip
    if len(parts) == 1:
        return {"input": d}
    found: Cotangents = {}
    start: Term | None = None
    for name, part, size in zip(names, parts, sizes, strict=True):
        found[name] = g.tape.op(
            "narrow", like=part, dtype=d.dtype,
            input=d, dim=axis, start=start or 0, length=size,
        )  # fmt: skip
        start = size if start is None else start + size
    return found


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


def gradient(g: Row) -> Cotangents:
    x = g["input"]
    d = tuple(g.d_of(k) for k in range(len(g.outs)))
    args = {"d": d, "input": x, **g.others("input")}
    return {"input": g.tape.op("gradient_backward", like=x, **args)}


VJP: dict[str, Vjp] = {
    "cumsum": cumsum,
    "cumprod": running("cumprod_backward"),
    "logcumsumexp": running("logcumsumexp_backward"),
    "cummax": chosen,
    "cummin": chosen,
    "diff": diff,
    "trapezoid": trapezoid(cumulative=False),
    "trapz": trapezoid(cumulative=False),
    "cumulative_trapezoid": trapezoid(cumulative=True),
    "gradient": gradient,
}
