"""Gradients of matrix products that are not products."""

import numpy as np

from luxgen.ops.types import Array


def diagonals_backward(d: Array, x: Array, *, labels: str) -> Array:
    """Put d on a diagonal of zeros like x: one dim of d for each of x's `labels`."""
    y = np.zeros(x.shape, d.dtype)
    view = np.einsum(f"{labels}->{''.join(dict.fromkeys(labels))}", y)
    view[...] = d
    return y
