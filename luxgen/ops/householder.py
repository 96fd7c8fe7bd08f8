"""Products of Householder reflections, as geqrf leaves them below the diagonal."""

import numpy as np

from luxgen.ops.types import Array


def reflectors(x: Array, count: int) -> Array:
    """The vectors v of the reflections 1 - tau v v^H: columns of x, 1 on top."""
    rows, columns = x.shape[-2], np.arange(count)
    v: Array = np.tril(x[..., :count], -1)
    v[..., columns[: min(rows, count)], columns[: min(rows, count)]] = 1
    return v


def reflected(x: Array, v: Array, tau: Array) -> Array:
    """(1 - tau v v^H) x for vectors v (..., m) and numbers tau (...)."""
    along = (v[..., None, :].conj() @ x) * tau[..., None, None]
    y: Array = x - v[..., :, None] * along
    return y


def householder_product(x: Array, tau: Array) -> Array:
    """The first columns of H_1 H_2 ... H_k, as many as x (..., m, n) has."""
    v = reflectors(x, tau.shape[-1])
    y = np.broadcast_to(np.eye(*x.shape[-2:], dtype=x.dtype), x.shape)
    for k in reversed(range(tau.shape[-1])):
        y = reflected(y, v[..., k], tau[..., k])
    return y


def ormqr(
    x: Array, tau: Array, other: Array, *, left: bool = True, transpose: bool = False
) -> Array:
    """Q y, y Q, Q^H y or y Q^H of y = other and Q = H_1 H_2 ... H_k."""
    v = reflectors(x, tau.shape[-1])
    if not left:  # (Q^H y^H)^H
        other = other.swapaxes(-2, -1).conj()
    adjoint_q = transpose == left
    y = other
    steps = range(tau.shape[-1])
    for k in steps if adjoint_q else reversed(steps):
        y = reflected(y, v[..., k], tau[..., k].conj() if adjoint_q else tau[..., k])
    return y if left else y.swapaxes(-2, -1).conj()
