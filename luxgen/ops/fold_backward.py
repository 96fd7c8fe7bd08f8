"""Cotangent of what Tensor.unfold read."""

import numpy as np

from luxgen.ops.types import Array


def unfold_dim_backward(d: Array, shape: tuple[int, ...], dim: int, step: int) -> Array:
    """Add windows of dim, which are the last axis of d, up in zeros of `shape`."""
    y = np.zeros(shape, d.dtype)
    line, parts = np.moveaxis(y, dim, -1), np.moveaxis(d, dim % len(shape), -2)
    *_, count, size = parts.shape
    for k in range(size):
        line[..., k : k + step * count : step] += parts[..., k]
    return y
