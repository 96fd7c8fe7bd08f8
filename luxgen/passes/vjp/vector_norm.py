"""VJP rows of norms of vectors."""

from __future__ import annotations

import math
from collections.abc import Callable

from luxgen.ir.values import Value
from luxgen.passes.vjp.elementwise import signed
from luxgen.passes.vjp.reduce import dims_of, kept
from luxgen.passes.vjp.row import Cotangents, NoGradient, Row, Vjp
from luxgen.passes.vjp.terms import Shape, Term


def norm(g: Row) -> Cotangents:
    """Of order `p` or `ord`; subgradient 0 where the norm is 0."""
    p = g.const("ord", g.const("p", 2))
    if p == "nuc":
        return {"input": of_nuclear(g)}
    return {"input": of_norm(g, 2.0 if p in ("fro", None) else float(p))}


def of_norm(g: Row, p: float) -> Term | None:
    x, d, y = g["input"], kept(g, g.d), g.out
    if p == 0:
        return None
    if p == 1:
        return signed(d, x)
    safe = y.eq(0).where(1, y)
    if p == 2:
        return kept(g, g.d / safe) * x
    size, y, safe = x.part("abs"), kept(g, y), kept(g, safe)
    if math.isinf(p):
        dims = dims_of(g)
        chosen = size.eq(y).to(size.dtype)
        return signed(chosen * (d / chosen.sum(dims, keepdim=dims is not None)), x)
    if p < 1:
        size = size.eq(0).where(1, size)
    power = int(p) - 1 if p.is_integer() else p - 1
    return signed(d * (size / safe) ** power, x)


def of_nuclear(g: Row) -> Term:
    """U @ V^H of the singular value decomposition."""
    x, dims = g["input"], dims_of(g)
    if dims not in (None, (x.ndim - 2, x.ndim - 1)):
        raise NoGradient(
            "the nuclear norm over dims that aren't the last two",
            "move them there first",
        )
    u, vh = svd(x)
    return kept(g, g.d) * (u @ vh)


def svd(x: Term) -> tuple[Term, Term]:
    """U and V^H."""

    def value(sizes: Callable[[Shape], Shape], dtype: str = x.dtype) -> Value:
        return Value(dtype, sizes(x.shape), sizes(x.witness))

    real = {"complex64": "float32", "complex128": "float64"}.get(x.dtype, x.dtype)
    u, _, vh = x.tape.emit(
        "linalg_svd",
        {"A": x, "full_matrices": False},
        (
            value(lambda s: (*s[:-1], min(s[-2:]))),
            value(lambda s: (*s[:-2], min(s[-2:])), real),
            value(lambda s: (*s[:-2], min(s[-2:]), s[-1])),
        ),
    )
    return u, vh


VJP: dict[str, Vjp] = {"norm": norm, "linalg_vector_norm": norm}
