"""Rules of torch.linalg and of torch's older linear algebra.

Names are aten's: torch.linalg.svd is "linalg_svd", torch.svd (which returns V, not
its adjoint) is "svd". Signs of singular, eigen and Q vectors are LAPACK's choice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from luxgen.targets.numpy.rules.op import Op, Refused, Rule, helper, promoted

Dims = tuple[int, ...]


def _dims(op: Op) -> Dims | None:
    dim = op.const("dim")
    if dim is None or isinstance(dim, int):
        return None if dim is None else (dim,)
    return tuple(dim) or None


def _input(op: Op) -> str:
    given = op.args.get("dtype")
    return f"input.astype(np.{given})" if given is not None else "input"


def _vector_norm(op: Op, ord: str, dims: Dims | None) -> str:
    """`ord` is the argument's name, or "" for 2, NumPy's default."""
    x, keepdim = _input(op), bool(op.const("keepdim", False))
    if op.ndim("input") == 0:
        return f"np.abs({x})"
    order = f", {ord}" if ord else ""
    if dims is None and not keepdim:
        flat = f"{x}.ravel()" if ord and op.ndim("input") > 1 else x
        return f"np.linalg.norm({flat}{order})"
    if dims is None:
        dims = tuple(range(op.ndim("input")))
    kept = ", keepdim=True" if keepdim else ""
    if len(dims) > 1:
        return f"vector_norm({x}, {ord or 2}, {dims}{kept})"
    return f"np.linalg.norm({x}{order}, axis={dims[0]}{kept.replace('dim', 'dims')})"


def _matrix_norm(op: Op, ord: str, dims: Dims | None) -> str:
    """`ord` is the argument's name, or "" for Frobenius', NumPy's default."""
    text = _input(op) + (f", {ord}" if ord else "")
    if op.ndim("input") > 2 or dims not in (None, (0, 1), (-2, -1)):
        text += f", axis={dims or (-2, -1)}"
    if op.const("keepdim", False):
        text += ", keepdims=True"
    return f"np.linalg.norm({text})"


def vector_norm(op: Op) -> str:
    return _vector_norm(op, "ord" if op.has("ord") else "", _dims(op))


def matrix_norm(op: Op) -> str:
    return _matrix_norm(op, "ord" if op.has("ord") else "", _dims(op))


def linalg_norm(op: Op) -> str:
    dims = _dims(op)
    if not op.has("ord"):
        return _vector_norm(op, "", dims)
    if len(dims or range(op.ndim("input"))) == 2:
        return _matrix_norm(op, "ord", dims)
    return _vector_norm(op, "ord", dims)


def norm(op: Op) -> str:
    """torch.norm: any number is a vector's norm, whatever dims it spans."""
    p = op.const("p", 2)
    if p == "nuc":
        return _matrix_norm(op, "p", _dims(op))
    return _vector_norm(op, "" if p in ("fro", 2) else "p", _dims(op))


def dist(op: Op) -> str:
    difference = "(input - other)"
    if op.const("p", 2) == 2:
        return f"np.linalg.norm({difference})"
    return f"np.linalg.norm({difference}.ravel(), p)"


def solve(op: Op) -> str:
    a, b = op.shape("A"), op.shape("B")
    if len(b) == 1 or b == a[:-1]:  # torch's test for a batch of vectors
        return "np.linalg.solve(A, B[..., None])[..., 0]"
    right = "B[None]" if len(b) == len(a) - 1 else "B"  # NumPy 1: vectors
    if op.const("left", True):
        return f"np.linalg.solve(A, {right})"
    return (
        f"np.linalg.solve(A.swapaxes(-1, -2), {right}.swapaxes(-1, -2))"
        ".swapaxes(-1, -2)"
    )


def cholesky(op: Op) -> str:
    if not op.const("upper", False):
        return "np.linalg.cholesky(input)"
    turned = ".swapaxes(-1, -2)"
    if op.dtype("input").startswith("complex"):
        turned += ".conj()"
    return f"np.linalg.cholesky(input{turned}){turned}"


def with_info(rule: Rule, name: str) -> Rule:
    """Its result and zeros: NumPy raises an error where torch's info isn't 0."""

    def both(op: Op) -> str:
        text = rule if isinstance(rule, str) else rule(op)
        return f"({text}, np.zeros({name}.shape[:-2], np.int32))"

    return both


def cholesky_inverse(op: Op) -> str:
    turned = ".swapaxes(-1, -2)"
    if op.dtype("input").startswith("complex"):
        turned += ".conj()"
    if op.const("upper", False):
        return f"np.linalg.inv(input{turned} @ input)"
    return f"np.linalg.inv(input @ input{turned})"


def qr(op: Op) -> str:
    mode = op.const("mode", "reduced")
    if mode == "r":
        return "(np.empty(0, A.dtype), np.linalg.qr(A, 'r'))"
    return "np.linalg.qr(A, 'complete')" if mode == "complete" else "np.linalg.qr(A)"


def old_qr(op: Op) -> str:
    some = op.const("some", True)
    return "np.linalg.qr(input)" if some else "np.linalg.qr(input, 'complete')"


def svd(op: Op) -> str:
    if op.const("full_matrices", True):
        return "np.linalg.svd(A)"
    return "np.linalg.svd(A, full_matrices=False)"


def old_svd(op: Op) -> str:
    if not op.const("compute_uv", True):
        raise Refused("torch.svd(compute_uv=False)", "use torch.linalg.svdvals")
    return f"svd(input{'' if op.const('some', True) else ', some=False'})"


def pinv(op: Op) -> str:
    if op.has("atol"):
        raise Refused(f"{op.name} with atol", "give rtol")
    if op.is_tensor("rtol") or op.is_tensor("rcond"):
        raise Refused(f"{op.name} with a tensor as tolerance", "give a number")
    tolerance = "rcond" if op.has("rcond") else "rtol"
    return helper(_given(op), "pinv", rtol=tolerance)


def old_pinv(op: Op) -> str:
    return f"pinv(input, rtol={'rcond' if op.has('rcond') else '1e-15'})"


def matrix_rank(op: Op) -> str:
    if op.has("rtol") or any(op.is_tensor(name) for name in ("tol", "atol")):
        raise Refused(f"{op.name} with rtol or a tensor", "give a number as tol")
    tolerance = next((name for name in ("tol", "atol") if op.has(name)), None)
    text = f"input, {tolerance}" if tolerance else "input"
    if op.const("hermitian", False):
        text += ", hermitian=True"
    return f"np.linalg.matrix_rank({text})"


def eig(op: Op) -> str:
    """NumPy gives real arrays where no eigenvalue is complex."""
    complex_dtype = f"np.{op.out_dtype}"
    if op.name == "linalg_eigvals":
        return f"np.linalg.eigvals(input).astype({complex_dtype})"
    return f"tuple(y.astype({complex_dtype}) for y in np.linalg.eig(input))"


def triangle(function: str) -> Rule:
    """`UPLO` says which triangle is read."""

    def rule(op: Op) -> str:
        uplo = ", UPLO" if op.has("UPLO") else ""
        return f"np.linalg.{function}(input{uplo})"

    return rule


def cross(op: Op) -> str:
    dim: Any = op.const("dim", None if op.name == "cross" else -1)
    if dim is None:
        dim = op.shape("input").index(3)
    last = dim in (-1, op.ndim("input") - 1)
    return f"np.cross(input, other{'' if last else f', axis={dim}'})"


def vecdot(op: Op) -> str:
    x = "x.conj()" if op.dtype("x").startswith("complex") else "x"
    return f"({x} * y).sum(axis={op.const('dim', -1)})"


def _given(op: Op) -> Op:
    """The op less arguments that are None."""
    return replace(op, args={k: v for k, v in op.args.items() if v is not None})


RULES: dict[str, Rule] = {
    "linalg_vector_norm": vector_norm,
    "linalg_matrix_norm": matrix_norm,
    "linalg_norm": linalg_norm,
    "norm": norm,
    "dist": dist,
    "linalg_inv": "np.linalg.inv(A)",
    "linalg_inv_ex": with_info("np.linalg.inv(A)", "A"),
    "inverse": "np.linalg.inv(input)",
    "linalg_solve": solve,
    "linalg_solve_ex": with_info(solve, "A"),
    "linalg_solve_triangular": lambda op: helper(op, "solve_triangular"),
    "cholesky_solve": lambda op: helper(op, factor="input2"),
    "cholesky_inverse": cholesky_inverse,
    "linalg_det": "np.linalg.det(A)",
    "det": "np.linalg.det(input)",
    "linalg_slogdet": "np.linalg.slogdet(A)",
    "slogdet": "np.linalg.slogdet(input)",
    "logdet": "logdet(input)",
    "linalg_cholesky": cholesky,
    "linalg_cholesky_ex": with_info(cholesky, "input"),
    "cholesky": cholesky,
    "linalg_qr": qr,
    "qr": old_qr,
    "linalg_svd": svd,
    "svd": old_svd,
    "linalg_svdvals": "np.linalg.svd(A, compute_uv=False)",
    "linalg_eigh": triangle("eigh"),
    "linalg_eigvalsh": triangle("eigvalsh"),
    "linalg_eig": eig,
    "linalg_eigvals": eig,
    "linalg_pinv": pinv,
    "pinverse": old_pinv,
    "linalg_matrix_rank": matrix_rank,
    "linalg_matrix_power": "np.linalg.matrix_power(input, n)",
    "matrix_power": "np.linalg.matrix_power(input, n)",
    "linalg_multi_dot": "np.linalg.multi_dot(tensors)",
    "linalg_cross": cross,
    "cross": cross,
    "linalg_vecdot": vecdot,
    "linalg_matrix_exp": "matrix_exp(input)",
    "matrix_exp": "matrix_exp(input)",
    "kron": lambda op: promoted(op, "np.kron(input, other)"),
}
