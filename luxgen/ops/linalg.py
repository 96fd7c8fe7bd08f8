"""Linear algebra that np.linalg lacks, or does otherwise than torch."""

import math

import numpy as np

from luxgen.ops.types import Array


def vector_norm(
    x: Array, ord: float, dim: tuple[int, ...], *, keepdim: bool = False
) -> Array:
    """Norm of the vectors that span several axes (np.linalg.norm: of matrices)."""
    y = np.moveaxis(x, dim, range(-len(dim), 0))
    y = y.reshape(*y.shape[: -len(dim)], math.prod(y.shape[-len(dim) :]))
    y = np.asarray(np.linalg.norm(y, ord, axis=-1))
    return np.expand_dims(y, dim) if keepdim else y


def logdet(x: Array) -> Array:
    """Log-determinant: NaN where the determinant is negative, -inf where it is 0."""
    sign, logabsdet = np.linalg.slogdet(x)
    y: Array = np.where(sign < 0, np.full_like(logabsdet, np.nan), logabsdet)
    return y


def svd(x: Array, *, some: bool = True) -> tuple[Array, Array, Array]:
    """Decompose x = U diag(S) V^H as torch.svd does: V itself, not its adjoint."""
    U, S, Vh = np.linalg.svd(x, full_matrices=not some)
    return U, S, Vh.swapaxes(-1, -2).conj()


def pinv(x: Array, *, rtol: float | None = None, hermitian: bool = False) -> Array:
    """Pseudo-inverse; singular values up to rtol times the largest count as 0."""
    cut = max(x.shape[-2:]) * np.finfo(x.dtype).eps if rtol is None else rtol
    return np.linalg.pinv(x, cut, hermitian=hermitian)


def solve_triangular(
    x: Array,
    B: Array,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
) -> Array:
    """Solve x y = B (left=False: y x = B) by one triangle of x."""
    a = np.triu(x) if upper else np.tril(x)
    if unitriangular:
        diagonal = np.eye(x.shape[-1], dtype=bool)
        a = np.where(diagonal, np.ones_like(a), a)
    if left:
        return np.linalg.solve(a, B)
    return np.linalg.solve(a.swapaxes(-1, -2), B.swapaxes(-1, -2)).swapaxes(-1, -2)


def cholesky_solve(x: Array, factor: Array, *, upper: bool = False) -> Array:
    """Solve a y = x for a = L L^H, or U^H U, by its factor L or U."""
    L = factor.swapaxes(-1, -2).conj() if upper else factor
    return np.linalg.solve(L.swapaxes(-1, -2).conj(), np.linalg.solve(L, x))


def matrix_exp(x: Array) -> Array:
    """Exponential of square matrices: Taylor's series of x / 2^k, squared k times."""
    size = np.abs(x).sum(axis=-2).max(initial=0)
    squarings = max(0, math.ceil(math.log2(size)) + 1) if size > 0 else 0
    a = x * 0.5**squarings
    y = one = np.eye(x.shape[-1], dtype=x.dtype)
    for k in range(16, 0, -1):
        y = one + (a @ y) / k
    for _ in range(squarings):
        y = y @ y
    return y
