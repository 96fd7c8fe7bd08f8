"""VJP rows of matrix products."""

from __future__ import annotations

from luxgen.passes.vjp.linear import summed_product
from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term


def product(first: str, second: str) -> Vjp:
    """a @ b for two arguments of these names, of any ranks."""

    def row(g: Row) -> Cotangents:
        a, b = factors(g.d, g[first], g[second])
        return {first: a, second: b}

    return row


def factors(d: Term, a: Term, b: Term) -> tuple[Term, Term]:
    """Cotangents of a and b, up to broadcast dims, given that of a @ b."""
    a, b = a.conj(), b.conj()
    if a.ndim == 1 and b.ndim == 1:
        return d * b, d * a
    if b.ndim == 1:
        return d.unsqueeze(-1) * b, summed_product(d.unsqueeze(-1), a).squeeze(0)
    if a.ndim == 1:
        if b.ndim == 2:
            return b @ d, summed_product(a, d)
        d = d.unsqueeze(-1)
        return (b @ d).squeeze(-1), a.unsqueeze(-1) * d.transpose()
    of_a = d @ b.transpose()
    if b.ndim == 2:  # one product instead of a sum over the batch
        return of_a, summed_product(a, d)
    return of_a, a.transpose() @ d


VJP: dict[str, Vjp] = {
    "matmul": product("input", "other"),
    "mm": product("input", "mat2"),
    "bmm": product("input", "mat2"),
    "mv": product("input", "vec"),
    "dot": product("input", "tensor"),
}
