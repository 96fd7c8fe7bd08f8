"""Backward passes of LU factors, from the cotangent d."""

import numpy as np

from luxgen.ops.linalg_backward import adjoint
from luxgen.ops.lu import lu_unpack
from luxgen.ops.types import Array


def lu_backward(d_l: Array, d_u: Array, P: Array, L: Array, U: Array) -> Array:
    """Of P L U; what is beyond the square part of L or U depends on that part."""
    k = L.shape[-1]
    left, right = adjoint(L[..., :k, :]), adjoint(U[..., :k])
    lower = left @ d_l[..., :k, :] - d_u[..., k:] @ adjoint(U[..., k:])
    upper = d_u[..., :k] @ right - adjoint(L[..., k:, :]) @ d_l[..., k:, :]
    y = np.zeros((*L.shape[:-1], U.shape[-1]), L.dtype)
    y[..., :k, :k] = np.tril(lower, -1) + np.triu(upper)
    y[..., k:, :k] = d_l[..., k:, :]
    y[..., :k, k:] = d_u[..., k:]
    y[..., :k] = adjoint(np.linalg.solve(adjoint(right), adjoint(y[..., :k])))
    y[..., :k, :] = np.linalg.solve(left, y[..., :k, :])
    d_x: Array = P @ y
    return d_x


def lu_factor_backward(d: Array, x: Array, pivots: Array) -> Array:
    """Of the matrix that x packs, from d of the packed factors."""
    k = pivots.shape[-1]
    P, L, U = lu_unpack(x, pivots)
    return lu_backward(d[..., :k], d[..., :k, :], P, L, U)


def lu_unpack_backward(d_l: Array, d_u: Array) -> Array:
    """Of the packed factors: L's unit diagonal has no place there."""
    k = d_l.shape[-1]
    y = np.zeros((*d_l.shape[:-1], d_u.shape[-1]), d_l.dtype)
    y[..., :k] = np.tril(d_l, -1)
    y[..., :k, :] += np.triu(d_u)
    return y


def lu_product_backward(d: Array, x: Array, pivots: Array) -> Array:
    """Of the packed factors x, from d of the matrix that they pack."""
    P, L, U = lu_unpack(x, pivots)
    d = P.swapaxes(-1, -2) @ d
    y: Array = np.tril(d @ adjoint(U), -1) + np.triu(adjoint(L) @ d)
    return y
