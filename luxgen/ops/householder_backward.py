"""Backward passes of products of Householder reflections, one reflection at a time."""

import numpy as np

from luxgen.ops.householder import reflected, reflectors
from luxgen.ops.linalg_backward import adjoint
from luxgen.ops.types import Array


def reflected_backward(
    d: Array, x: Array, v: Array, tau: Array
) -> tuple[Array, Array, Array]:
    """The cotangents of x, v and tau for reflected(x, v, tau)."""
    along = (v[..., None, :].conj() @ x)[..., 0, :]
    d_along = (v[..., None, :].conj() @ d)[..., 0, :]
    d_tau = -(d_along * along.conj()).sum(axis=-1)
    d_v = -(d @ along[..., None].conj())[..., 0] * tau[..., None].conj()
    d_v -= (x @ d_along[..., None].conj())[..., 0] * tau[..., None]
    return reflected(d, v, tau.conj()), d_v, d_tau


def reflections_backward(
    d: Array, y: Array, x: Array, tau: Array, order: list[int], *, turned: bool
) -> tuple[Array, Array, Array]:
    """The cotangents of x, tau and y for y reflected in `order`; turned: by conj(tau)."""
    v = reflectors(x, tau.shape[-1])
    scale = tau.conj() if turned else tau
    steps = [y]
    for k in order:
        steps.append(reflected(steps[-1], v[..., k], scale[..., k]))
    d_v, d_scale = np.zeros_like(x), np.zeros_like(tau)
    for k, before in zip(order[::-1], steps[-2::-1], strict=True):
        d, d_v[..., k], d_scale[..., k] = reflected_backward(
            d, before, v[..., k], scale[..., k]
        )
    return np.tril(d_v, -1), d_scale.conj() if turned else d_scale, d


def householder_product_backward(d: Array, x: Array, tau: Array) -> tuple[Array, Array]:
    """The cotangents of x and tau."""
    one = np.broadcast_to(np.eye(*x.shape[-2:], dtype=x.dtype), x.shape)
    order = list(range(tau.shape[-1]))[::-1]
    d_x, d_tau, _ = reflections_backward(d, one, x, tau, order, turned=False)
    return d_x, d_tau


def ormqr_backward(
    d: Array,
    x: Array,
    tau: Array,
    other: Array,
    *,
    left: bool = True,
    transpose: bool = False,
) -> tuple[Array, Array, Array]:
    """The cotangents of x, tau and other."""
    turned = transpose == left
    order = list(range(tau.shape[-1]))
    order = order if turned else order[::-1]
    if not left:
        d, other = adjoint(d), adjoint(other)
    d_x, d_tau, d_other = reflections_backward(d, other, x, tau, order, turned=turned)
    return d_x, d_tau, d_other if left else adjoint(d_other)
