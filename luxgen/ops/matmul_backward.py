"""Gradients of matrix products that are not products."""

import numpy as np

from luxgen.ops.types import Array


def diagonals_backward(d: Array, x: Array, *, labels: str) -> Array:
    """Put d on a diagonal of zeros like x: one dim of d for each of x's `labels`."""
    y = np.zeros(x.shape, d.dtype)
    view = np.einsum(f"{labels}->{''.join(dict.fromkeys(labels))}", y)
    view[...] = d
    return y


def kron_backward(d: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Cotangents of a and b, given that of np.kron(a, b)."""
    ndim = max(a.ndim, b.ndim)
    outer = (1,) * (ndim - a.ndim) + a.shape
    inner = (1,) * (ndim - b.ndim) + b.shape
    sizes = [n for pair in zip(outer, inner, strict=True) for n in pair]
    d = d.reshape(sizes)  # a's and b's dims in turn
    own, axes = range(0, 2 * ndim, 2), range(ndim)
    d_a = np.tensordot(d, b.reshape(inner), axes=([k + 1 for k in own], axes))
    d_b = np.tensordot(d, a.reshape(outer), axes=(own, axes))
    return d_a.reshape(a.shape), d_b.reshape(b.shape)
