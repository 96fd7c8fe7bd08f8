"""VJP rows of reductions."""

from __future__ import annotations

import math

from luxgen.passes.vjp.row import Cotangents, NoGradient, Row, Vjp
from luxgen.passes.vjp.terms import Term


def dims_of(g: Row) -> tuple[int, ...] | None:
    """The dims that are reduced, none of them negative; None for all."""
    dim, ndim = g.const("dim"), g["input"].ndim
    if dim is None or dim in ((), []) or ndim == 0:
        return None
    given = (dim,) if isinstance(dim, int) else dim
    return tuple(sorted(d % ndim for d in given))


def kept(g: Row, term: Term) -> Term:
    """`term`, which looks like the result, with the reduced dims as ones."""
    if not g.const("keepdim", False):
        for dim in dims_of(g) or ():
            term = term.unsqueeze(dim)
    return term


def count(g: Row) -> Term:
    """How many elements are reduced to one."""
    x, dims = g["input"], dims_of(g)
    if dims is None:
        return x.numel
    n = x.size(dims[0])
    for dim in dims[1:]:
        n = n * x.size(dim)
    return n


def total(g: Row) -> Cotangents:
    return {"input": kept(g, g.d).expand_as(g["input"])}


def mean(g: Row) -> Cotangents:
    return {"input": (kept(g, g.d) / count(g)).expand_as(g["input"])}


def extreme(g: Row) -> Cotangents:
    """amax and amin, max() and min(): equal elements share the cotangent."""
    return {"input": shared(g, g.out, g.d)}


def shared(g: Row, out: Term, d: Term) -> Term:
    """`d` in equal parts for the elements that equal `out`."""
    x, dims = g["input"], dims_of(g)
    chosen = x.eq(kept(g, out)).to(x.dtype)
    return chosen * (kept(g, d) / chosen.sum(dims, keepdim=dims is not None))


def max_or_min(lower: bool) -> Vjp:
    """Of all, elementwise of two tensors, or with indices of one dim."""

    def row(g: Row) -> Cotangents:
        if g.has("other"):
            from luxgen.passes.vjp.elementwise import extreme as of_two

            return of_two(lower)(g)
        return picked(g) if "dim" in g.op.args else extreme(g)

    return row


def picked(g: Row) -> Cotangents:
    """The cotangent goes to the index that was returned."""
    x = g["input"]
    if x.ndim == 0:
        return {"input": g.d}
    src, index = kept(g, g.d), kept(g, g.outs[1])
    dim = dims_of(g) or (x.ndim - 1,)
    return {
        "input": g.tape.op(
            "scatter", like=x, input=x.zeros_like(), dim=dim[0], index=index, src=src
        )
    }


def centred(g: Row) -> Term:
    x, dims = g["input"], dims_of(g)
    return x - x.mean(dims, keepdim=dims is not None)


def freedom(g: Row) -> Term:
    """What the sum of squares is divided by."""
    given = g.const("correction")
    correction = int(g.const("unbiased", True)) if given is None else given
    return count(g) - correction if correction else count(g)


def variance(g: Row) -> Cotangents:
    return {"input": 2 * kept(g, g.d) * centred(g) / freedom(g)}


def deviation(g: Row) -> Cotangents:
    """0 where the deviation is."""
    y = kept(g, g.out)
    safe = y.eq(0).where(1, y)
    return {"input": kept(g, g.d) / safe * centred(g) / freedom(g)}


def logsumexp(g: Row) -> Cotangents:
    """Of elements that are all -inf, 0."""
    x, y = g["input"], kept(g, g.out)
    safe = y.eq(-math.inf).where(0, y)
    return {"input": kept(g, g.d) * (x - safe).unary("exp").conj()}


def norm(g: Row) -> Cotangents:
    """Of order `p` or `ord`; subgradient 0 where the norm is 0."""
    p = g.const("ord", g.const("p", 2))
    if p == "nuc":
        raise NoGradient("the nuclear norm", "sum the singular values: linalg.svdvals")
    return {"input": of_norm(g, 2.0 if p in ("fro", None) else float(p))}


def of_norm(g: Row, p: float) -> Term | None:
    x, d, y = g["input"], kept(g, g.d), kept(g, g.out)
    if p == 0:
        return None
    if p == 1:
        return signed(d, x)
    safe = y.eq(0).where(1, y)
    if p == 2:
        return d / safe * x
    size = magnitude(x)
    if math.isinf(p):
        dims = dims_of(g)
        chosen = size.eq(y).to(size.dtype)
        return signed(chosen * (d / chosen.sum(dims, keepdim=dims is not None)), x)
    if p < 1:
        size = size.eq(0).where(1, size)
    return signed(d * (size / safe) ** (p - 1), x)


def magnitude(x: Term) -> Term:
    return x.tape.op("abs", like=x, dtype=real_dtype(x.dtype), input=x)


def real_dtype(dtype: str) -> str:
    return {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)


def signed(d: Term, x: Term) -> Term:
    """`d` times the sign of x: the cotangent of x from that of its magnitude."""
    return x.tape.elementwise("abs_backward", dtype=x.dtype, d=d, input=x)


VJP: dict[str, Vjp] = {
    "sum": total,
    "mean": mean,
    "amax": extreme,
    "amin": extreme,
    "max": max_or_min(lower=False),
    "min": max_or_min(lower=True),
    "var": variance,
    "std": deviation,
    "logsumexp": logsumexp,
    "norm": norm,
    "linalg_vector_norm": norm,
}
