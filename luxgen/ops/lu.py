"""LU factors with row swaps, packed as LAPACK's getrf does, and what uses them."""

import math

import numpy as np

from luxgen.ops.linalg import solve_triangular
from luxgen.ops.types import Array


def lu_factor(x: Array) -> tuple[Array, Array]:
    """L below the diagonal of U, and the row (from 1) that each row was swapped with."""
    *batch, m, n = x.shape
    y = x.reshape(math.prod(batch), m, n).copy()
    pivots = np.empty((len(y), min(m, n)), np.int32)
    each = np.arange(len(y))
    for k in range(min(m, n)):
        column = y[:, k:, k]
        best = k + (np.abs(column.real) + np.abs(column.imag)).argmax(axis=-1)
        pivots[:, k] = best + 1
        y[each, k], y[each, best] = y[each, best], y[each, k]
        pivot = y[:, k, None, k]
        y[:, k + 1 :, k] /= np.where(pivot == 0, np.ones_like(pivot), pivot)
        y[:, k + 1 :, k + 1 :] -= y[:, k + 1 :, k, None] * y[:, k, None, k + 1 :]
    return y.reshape(x.shape), pivots.reshape(*batch, min(m, n))


def lu_factor_ex(x: Array) -> tuple[Array, Array, Array]:
    """lu_factor and the place (from 1) of the first 0 on U's diagonal, 0 if none."""
    y, pivots = lu_factor(x)
    nonzero = np.diagonal(y, axis1=-2, axis2=-1) != 0
    before = np.logical_and.accumulate(nonzero, axis=-1).sum(axis=-1)
    info = np.where(before == nonzero.shape[-1], 0, before + 1)
    return y, pivots, info.astype(np.int32)


def row_swaps(pivots: Array, m: int) -> Array:
    """The order of m rows after the swaps."""
    swaps = pivots.reshape(math.prod(pivots.shape[:-1]), pivots.shape[-1])
    order = np.tile(np.arange(m), (len(swaps), 1))
    each = np.arange(len(swaps))
    for k in range(swaps.shape[-1]):
        other = swaps[:, k] - 1
        order[each, k], order[each, other] = order[each, other], order[each, k]
    return order.reshape(*pivots.shape[:-1], m)


def lu_unpack(
    x: Array,
    pivots: Array,
    *,
    unpack_data: bool = True,
    unpack_pivots: bool = True,
) -> tuple[Array, Array, Array]:
    """P, L, U of the matrix P L U that x packs; what isn't asked for is empty."""
    m, k = x.shape[-2], min(x.shape[-2:])
    if unpack_pivots:
        P = np.eye(m, dtype=x.dtype)[row_swaps(pivots, m)].swapaxes(-1, -2)
    else:
        P = np.empty(0, x.dtype)
    if not unpack_data:
        return P, np.empty(0, x.dtype), np.empty(0, x.dtype)
    L = np.tril(x[..., :k], -1) + np.eye(m, k, dtype=x.dtype)
    return P, L, np.triu(x[..., :k, :])


def lu_solve(
    x: Array, factors: Array, pivots: Array, *, transposed: bool = False
) -> Array:
    """Solve a y = x (transposed: a^H y = x) by the packed factors of a."""
    P, L, U = lu_unpack(factors, pivots)
    if transposed:
        y: Array = np.linalg.solve(U.swapaxes(-1, -2).conj(), x)
        y = P @ np.linalg.solve(L.swapaxes(-1, -2).conj(), y)
        return y
    return np.linalg.solve(U, np.linalg.solve(L, P.swapaxes(-1, -2) @ x))


def triangular_solve(
    x: Array,
    A: Array,
    *,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
) -> tuple[Array, Array]:
    """The solution y of A y = x (transpose: A^T y = x) and a copy of A, broadcast."""
    a = A.swapaxes(-1, -2) if transpose else A
    y = solve_triangular(a, x, upper=upper != transpose, unitriangular=unitriangular)
    return y, np.broadcast_to(A, (*y.shape[:-2], *A.shape[-2:])).copy()
