"""Reductions that NumPy has no single expression for."""

import numpy as np

from luxgen.ops.types import Array


def histc(x: Array, *, bins: int = 100, min: float = 0, max: float = 0) -> Array:
    """Counts of x in equal bins from min to max, over x's range if these are equal."""
    low, high = x.dtype.type(min), x.dtype.type(max)
    if min == max and x.size > 0:
        low, high = x.min(), x.max()
    if low == high:
        low, high = low - 1, high + 1
    inside = x[(x >= low) & (x <= high)]
    place = ((inside - low) * bins / (high - low)).astype(np.int64)
    counts = np.bincount(np.minimum(place, bins - 1), minlength=bins)
    return counts.astype(x.dtype)
