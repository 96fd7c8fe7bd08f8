"""Backward passes of tensors as matrices, and of condition numbers."""

import math
from typing import Any

import numpy as np

from luxgen.ops.linalg_backward import adjoint, matrix_norm_backward
from luxgen.ops.types import Array


def tensorinv_backward(d: Array, y: Array, *, ind: int = 2) -> Array:
    """-y^H d y^H, of the matrices that y, the inverse, and d stand for."""
    size = math.prod(y.shape[-ind:])
    yh = adjoint(y.reshape(size, size))
    d_x: Array = -(yh @ d.reshape(size, size) @ yh)
    return d_x.reshape(y.shape[-ind:] + y.shape[:-ind])


def tensorsolve_backward(
    d: Array, x: Array, other: Array, y: Array, *, dims: tuple[int, ...] = ()
) -> tuple[Array, Array]:
    """Of x and of the right side, as np.linalg.tensorsolve moves `dims` to the end."""
    kept = [k for k in range(x.ndim) if k not in dims]
    order = [*kept, *dims]
    moved = x.transpose(order)
    a = moved.reshape(other.size, other.size)
    back = np.linalg.solve(adjoint(a), d.reshape(-1, 1))
    d_x: Array = -(back @ y.reshape(1, -1).conj())
    d_x = d_x.reshape(moved.shape).transpose(np.argsort(order))
    return d_x, back.reshape(other.shape)


def cond_backward(d: Array, x: Array, *, p: Any = None) -> Array:
    """Of the largest by the smallest singular value, or of |x| |x^-1|."""
    if p in (None, 2, -2):
        u, s, vh = np.linalg.svd(x, full_matrices=False)
        top, bottom = (-1, 0) if p == -2 else (0, -1)
        d_s = np.zeros_like(s)
        d_s[..., top] = 1 / s[..., bottom]
        d_s[..., bottom] -= s[..., top] / s[..., bottom] ** 2
        d_x: Array = u * (d[..., None] * d_s)[..., None, :] @ vh
        return d_x
    inverse = np.linalg.inv(x)
    sizes = [np.linalg.norm(a, p, axis=(-2, -1)) for a in (x, inverse)]
    if p == "fro":
        d_x, d_inverse = (
            a * (d * other / size)[..., None, None]
            for a, size, other in zip((x, inverse), sizes, sizes[::-1], strict=True)
        )
    else:
        d_x = matrix_norm_backward(d * sizes[1], x, ord=p)
        d_inverse = matrix_norm_backward(d * sizes[0], inverse, ord=p)
    back = adjoint(inverse)
    total: Array = d_x - back @ d_inverse @ back
    return total
