"""Backward pass of least squares' residuals."""

import numpy as np

from luxgen.ops.types import Array


def residuals_backward(d: Array, x: Array, b: Array, y: Array) -> Array:
    """Of x y, by the sums over rows of |x y - b|^2; there are none unless x is tall."""
    if d.size == 0:
        return np.zeros_like(b)
    d_xy: Array = 2 * d[..., None, :] * (x @ y - b)
    return d_xy
