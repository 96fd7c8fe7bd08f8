"""VJP rows of LU factors and of torch's older triangular solution.

The order of the rows is taken as fixed, as in torch.
"""

from __future__ import annotations

from typing import Any

from luxgen.passes.vjp.linalg import adjoint
from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term


def linalg_lu(g: Row) -> Cotangents:
    P, L, U = g.outs
    d: dict[str, Any] = {"d_l": g.d_of(1), "d_u": g.d_of(2)}
    return {"A": g.tape.op("lu_backward", like=g["A"], **d, P=P, L=L, U=U)}


def lu_factor(g: Row) -> Cotangents:
    args: dict[str, Any] = {"d": g.d, "input": g.out, "pivots": g.outs[1]}
    return {"A": g.tape.op("lu_factor_backward", like=g["A"], **args)}


def lu_unpack(g: Row) -> Cotangents:
    if not g.const("unpack_data", True):
        return {}
    d: dict[str, Any] = {"d_l": g.d_of(1), "d_u": g.d_of(2)}
    return {"LU_data": g.tape.op("lu_unpack_backward", like=g["LU_data"], **d)}


def of_factors(g: Row, d: Term, factors: Term, pivots: Term) -> Term:
    """From the cotangent d of the matrix that the factors make."""
    args: dict[str, Any] = {"d": d, "input": factors, "pivots": pivots}
    return g.tape.op("lu_product_backward", like=d, **args)


def lu_solve(g: Row) -> Cotangents:
    factors, pivots = g["LU_data"], g["LU_pivots"]
    args: dict[str, Any] = {"LU": factors, "pivots": pivots, "adjoint": True}
    d = g.tape.op("linalg_lu_solve", like=g.d, **args, B=g.d)
    d_factors = of_factors(g, -(d @ adjoint(g.out)), factors, pivots)
    return {"input": d, "LU_data": d_factors}


def linalg_lu_solve(g: Row) -> Cotangents:
    """Of A X = B, A^H X = B (adjoint), X A = B or X A^H = B (left=False)."""
    factors, pivots, y = g["LU"], g["pivots"], g.out
    left, turned = g.const("left", True), g.const("adjoint", False)
    args: dict[str, Any] = {
        "LU": factors,
        "pivots": pivots,
        "left": left,
        "adjoint": not turned,
    }
    d = g.tape.op("linalg_lu_solve", like=g.d, **args, B=g.d)
    first, second = (d, y) if left != turned else (y, d)
    matrix = first @ adjoint(second) if left else adjoint(first) @ second
    return {"B": d, "LU": of_factors(g, -matrix, factors, pivots)}


def triangular_solve(g: Row) -> Cotangents:
    """The second result is a copy of A."""
    a, y = g["A"], g.out
    upper, unit = g.const("upper", True), g.const("unitriangular", False)
    transpose = g.const("transpose", False)
    options: dict[str, Any] = {"unitriangular": True} if unit else {}
    d = g.tape.op(
        "linalg_solve_triangular", like=g.d,
        input=a.conj() if transpose else adjoint(a), B=g.d,
        upper=upper if transpose else not upper, **options,
    )  # fmt: skip
    product = y.conj() @ d.transpose() if transpose else d @ adjoint(y)
    diagonal = {"diagonal": 1 if upper else -1} if unit else {}
    triangle = -product.unary("triu" if upper else "tril", **diagonal)
    copied = g.given[1]
    return {"input": d, "A": triangle if copied is None else triangle + copied}


VJP: dict[str, Vjp] = {
    "lu": lu_factor,
    "linalg_lu": linalg_lu,
    "linalg_lu_factor": lu_factor,
    "linalg_lu_factor_ex": lu_factor,
    "lu_unpack": lu_unpack,
    "lu_solve": lu_solve,
    "linalg_lu_solve": linalg_lu_solve,
    "triangular_solve": triangular_solve,
}
