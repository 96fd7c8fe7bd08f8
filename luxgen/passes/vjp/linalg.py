"""VJP rows of linear algebra: inverses, solutions, determinants, products, norms.

Rows of decompositions are in `decomposition`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term
from luxgen.passes.vjp.vector_norm import of_norm


def adjoint(x: Term) -> Term:
    """The matrices' conjugate transposes."""
    shapes = x.both(lambda s: (*s[:-2], s[-1], s[-2]))
    return x.tape.op("mH", like=x, **shapes, input=x)


def matrices(d: Term) -> Term:
    """One number for each matrix, to be multiplied with it."""
    return d.unsqueeze(-1).unsqueeze(-1)


def source(g: Row) -> str:
    return "A" if g.has("A") else "input"


def inverse(g: Row) -> Cotangents:
    y = adjoint(g.out)
    return {source(g): -(y @ g.d @ y)}


def inverted(x: Term) -> Term:
    return x.tape.op("inverse", like=x, input=x)


def solve(g: Row) -> Cotangents:
    """Of A X = B, or of X A = B (left=False)."""
    a, b = g["A"], g["B"]
    options = g.others("A", "B", "check_errors")
    d = g.tape.op("linalg_solve", like=g.d, A=adjoint(a), B=g.d, **options)
    if b.ndim == 1 or (b.shape, b.witness) == (a.shape[:-1], a.witness[:-1]):
        return {"A": -(d.unsqueeze(-1) * g.out.unsqueeze(-2).conj()), "B": d}
    if g.const("left", True):
        return {"A": -(d @ adjoint(g.out)), "B": d}
    return {"A": -(adjoint(g.out) @ d), "B": d}


def solve_triangular(g: Row) -> Cotangents:
    upper, unit = g.const("upper"), g.const("unitriangular", False)
    options = g.others("input", "B", "upper")
    d = g.tape.op(
        "linalg_solve_triangular", like=g.d,
        input=adjoint(g["input"]), B=g.d, upper=not upper, **options,
    )  # fmt: skip
    y = adjoint(g.out)
    product = -(d @ y) if g.const("left", True) else -(y @ d)
    diagonal = {"diagonal": 1 if upper else -1} if unit else {}
    triangle = product.unary("triu" if upper else "tril", **diagonal)
    return {"input": triangle, "B": d}


def cholesky_solve(g: Row) -> Cotangents:
    """Of L L^H X = B (U^H U X = B) for the right side and for the factor."""
    factor = g["input2"]
    d = g.tape.op("cholesky_solve", like=g.d, **g.others("input"), input=g.d)
    product = d @ adjoint(g.out)
    both = product + adjoint(product)
    upper = g.const("upper", False)
    return {"input": d, "input2": -(factor @ both if upper else both @ factor)}


def cholesky_inverse(g: Row) -> Cotangents:
    factor, y = g["input"], g.out
    inner = y @ (g.d + adjoint(g.d)) @ y
    upper = g.const("upper", False)
    return {"input": -(factor @ inner if upper else inner @ factor)}


def det(g: Row) -> Cotangents:
    """Through the singular values: singular matrices have a gradient, too."""
    name = source(g)
    x = g[name]
    return {name: g.tape.op("det_backward", like=x, d=g.d, input=x)}


def logdet(g: Row) -> Cotangents:
    return {"input": matrices(g.d) * adjoint(inverted(g["input"]))}


def slogdet(g: Row) -> Cotangents:
    """The sign of a complex determinant turns, that of a real one doesn't."""
    name = source(g)
    x, (sign, _) = g[name], g.outs
    d = g.d_of(1)
    if sign.is_complex and g.given[0] is not None:
        d = d - (g.d_of(0).conj() * sign).part("imag") * 1j
    return {name: matrices(d) * adjoint(inverted(x))}


def pinv(g: Row) -> Cotangents:
    x = g["input"]
    return {"input": g.tape.op("pinv_backward", like=x, d=g.d, input=x, y=g.out)}


def matrix_power(g: Row) -> Cotangents:
    """Of the input, or of its inverse for a negative power."""
    x, n = g["input"], g.const("n")
    if n == 0:
        return {}
    if n > 0:
        return {"input": powered(g.d, x, n)}
    y = inverted(x)
    back = adjoint(y)
    return {"input": -(back @ powered(g.d, y, -n) @ back)}


def powered(d: Term, x: Term, n: int) -> Term:
    if n == 1:
        return d
    return d.tape.op("matrix_power_backward", like=x, d=d, input=x, n=n)


def matrix_exp(g: Row) -> Cotangents:
    x = g["input"]
    return {"input": g.tape.op("matrix_exp_backward", like=x, d=g.d, input=x)}


def cross(g: Row) -> Cotangents:
    """torch.cross takes the first dim of size 3, torch.linalg.cross the last."""
    x, other = g["input"], g["other"]
    dim = g.const("dim", None if g.op.name == "cross" else -1)
    if dim is None:
        dim = x.shape.index(3)
    dim = dim if dim < 0 else dim - x.ndim
    first = {"input": other.conj(), "other": g.d, "dim": dim}
    second = {"input": g.d, "other": x.conj(), "dim": dim}
    return {
        "input": g.tape.op("linalg_cross", like=g.d, **first),
        "other": g.tape.op("linalg_cross", like=g.d, **second),
    }


def vecdot(g: Row) -> Cotangents:
    x, y, dim = g["x"], g["y"], g.const("dim", -1)
    ndim = max(x.ndim, y.ndim)
    d = g.d.unsqueeze(dim % ndim)
    return {"x": d.conj() * y, "y": d * x}


def matrix_norm(g: Row) -> Cotangents:
    """Frobenius' is a vector's; the others take singular values or sums."""
    dims = g.const("dim", (-2, -1))
    ord = g.const("ord", "fro")
    if ord == "fro":
        return {"input": of_norm(over(g, tuple(dims)), 2.0)}
    x = g["input"]
    options: dict[str, Any] = {"ord": ord}
    if tuple(d % x.ndim for d in dims) != (x.ndim - 2, x.ndim - 1):
        options["dim"] = tuple(dims)
    if g.const("keepdim", False):
        options["keepdim"] = True
    back = g.tape.op("matrix_norm_backward", like=x, d=g.d, input=x, **options)
    return {"input": back}


def over(g: Row, dims: tuple[int, ...] | None) -> Row:
    """The row as if the op had named its dims."""
    return replace(g, op=replace(g.op, args=g.op.args | {"dim": dims}))


def linalg_norm(g: Row) -> Cotangents:
    """Of matrices if `ord` is given for two dims, else of vectors."""
    ord, dim = g.const("ord"), g.const("dim")
    dims = (dim,) if isinstance(dim, int) else dim and tuple(dim)
    if ord is None:
        return {"input": of_norm(g, 2.0)}
    dims = dims or tuple(range(g["input"].ndim))
    if len(dims) == 2:
        return matrix_norm(over(g, dims))
    return {"input": of_norm(g, float(ord))}


VJP: dict[str, Vjp] = {
    "linalg_inv": inverse,
    "linalg_inv_ex": inverse,
    "inverse": inverse,
    "linalg_solve": solve,
    "linalg_solve_ex": solve,
    "linalg_solve_triangular": solve_triangular,
    "cholesky_solve": cholesky_solve,
    "cholesky_inverse": cholesky_inverse,
    "linalg_det": det,
    "det": det,
    "linalg_slogdet": slogdet,
    "slogdet": slogdet,
    "logdet": logdet,
    "linalg_pinv": pinv,
    "pinverse": pinv,
    "linalg_matrix_power": matrix_power,
    "matrix_power": matrix_power,
    "linalg_matrix_exp": matrix_exp,
    "matrix_exp": matrix_exp,
    "linalg_cross": cross,
    "cross": cross,
    "linalg_vecdot": vecdot,
    "linalg_matrix_norm": matrix_norm,
    "linalg_norm": linalg_norm,
}
