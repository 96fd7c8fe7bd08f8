"""VJP rows of matrix decompositions.

Gradients of singular and eigenvectors need distinct values, as in torch.
"""

from __future__ import annotations

from typing import Any

from luxgen.ir.values import Value
from luxgen.passes.vjp.linalg import adjoint, source
from luxgen.passes.vjp.row import Cotangents, NoGradient, Row, Vjp
from luxgen.passes.vjp.terms import Term


def cholesky(g: Row) -> Cotangents:
    x = g["input"]
    upper: dict[str, Any] = {"upper": True} if g.const("upper", False) else {}
    return {"input": g.tape.op("cholesky_backward", like=x, d=g.d, y=g.out, **upper)}


def qr(g: Row) -> Cotangents:
    name = source(g)
    x, (q, r) = g[name], g.outs
    mode = g.const("mode", "reduced" if g.const("some", True) else "complete")
    if mode == "r":
        raise NoGradient('qr with mode "r"', 'use mode "reduced"')
    tall = any(s[-2] > s[-1] for s in (x.shape, x.witness))
    if mode == "complete" and tall:
        raise NoGradient("the complete qr of a tall matrix", 'use mode "reduced"')
    args: dict[str, Any] = {"d_q": g.d_of(0), "d_r": g.d_of(1), "q": q, "r": r}
    return {name: g.tape.op("qr_backward", like=x, **args)}


def svd(g: Row) -> Cotangents:
    """The first singular vectors only: those that span nothing have no gradient."""
    u, s, vh = g.outs
    d_vh: Term | None = g.given[2]
    if g.op.name == "svd":  # V, not its adjoint
        vh, d_vh = adjoint(vh), None if d_vh is None else adjoint(d_vh)
    return {source(g): of_svd(g, (u, s, vh), (g.given[0], g.given[1], d_vh))}


def of_svd(
    g: Row, outs: tuple[Term, Term, Term], given: tuple[Term | None, ...]
) -> Term:
    x, (u, s, vh) = g[source(g)], outs
    if given[0] is None and given[2] is None:
        d = g.d_of(1) if given[1] is None else given[1]
        return g.tape.op("svdvals_backward", like=x, d=d, u=u, vh=vh)
    pairs = zip(given, outs, strict=True)
    d_u, d_s, d_vh = (y.zeros_like() if d is None else d for d, y in pairs)
    args: dict[str, Any] = {
        "d_u": d_u,
        "d_s": d_s,
        "d_vh": d_vh,
        "u": u,
        "s": s,
        "vh": vh,
    }
    return g.tape.op("svd_backward", like=x, **args)


def svdvals(g: Row) -> Cotangents:
    x, y = g["A"], g.out
    left = x.both(lambda s: (*s[:-1], min(s[-2:])))
    right = x.both(lambda s: (*s[:-2], min(s[-2:]), s[-1]))
    made = (
        Value(x.dtype, *left.values()),
        Value(y.dtype, y.shape, y.witness),
        Value(x.dtype, *right.values()),
    )
    args = {"A": x, "full_matrices": False}
    u, _, vh = g.tape.emit("linalg_svd", args, made)
    return {"A": g.tape.op("svdvals_backward", like=x, d=g.d, u=u, vh=vh)}


def eigen(g: Row, name: str, **options: Any) -> tuple[Term, Term]:
    """Eigenvalues and vectors, computed anew where only the values were."""
    x, y = g[source(g)], g.out
    vectors = g.outs[1:] or (
        g.tape.emit(
            name, {source(g): x, **options},
            (Value(y.dtype, y.shape, y.witness), _vectors(g)),
        )[1],
    )  # fmt: skip
    return y, vectors[0]


def _vectors(g: Row) -> Value:
    x = g[source(g)]
    dtype = x.dtype if g.op.name == "linalg_eigvalsh" else g.out.dtype
    return Value(dtype, x.shape, x.witness)


def eigh(g: Row) -> Cotangents:
    name = source(g)
    x = g[name]
    options = {"UPLO": g.const("UPLO")} if g.has("UPLO") else {}
    values, vectors = eigen(g, "linalg_eigh", **options)
    d = g.d_of(0)
    if len(g.given) > 1 and g.given[1] is not None:
        args: dict[str, Any] = {"d_values": d, "d_vectors": g.d_of(1), "values": values}
        return {name: g.tape.op("eigh_backward", like=x, **args, vectors=vectors)}
    return {name: vectors * d.unsqueeze(-2) @ adjoint(vectors)}


def eig(g: Row) -> Cotangents:
    name = source(g)
    x = g[name]
    values, vectors = eigen(g, "linalg_eig")
    args: dict[str, Any] = {"d_values": g.d_of(0), "values": values, "vectors": vectors}
    if len(g.given) > 1 and g.given[1] is not None:
        args["d_vectors"] = g.d_of(1)
    return {name: g.tape.op("eig_backward", like=x, dtype=values.dtype, **args)}


VJP: dict[str, Vjp] = {
    "linalg_cholesky": cholesky,
    "linalg_cholesky_ex": cholesky,
    "cholesky": cholesky,
    "linalg_qr": qr,
    "qr": qr,
    "linalg_svd": svd,
    "svd": svd,
    "linalg_svdvals": svdvals,
    "linalg_eigh": eigh,
    "linalg_eigvalsh": eigh,
    "linalg_eig": eig,
    "linalg_eigvals": eig,
}
