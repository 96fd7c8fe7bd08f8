"""Cotangent of what Tensor.unfold read."""

import numpy as np

from luxgen.ops.pool_backward import window_views
from luxgen.ops.types import Array


def unfold_dim_backward(d: Array, shape: tuple[int, ...], dim: int, step: int) -> Array:
    """Add windows of `dim`, which lie along the last axis of d, up in zeros of `shape`."""
    y = np.zeros(shape, d.dtype)
    axis = dim % len(shape) - len(shape)
    views = window_views(y, axis, d.shape[-1], step)
    for view, part in zip(views, np.moveaxis(d, -1, 0), strict=True):
        view[...] += part
    return y
