"""Adaptive pooling: output i of m reads [i * n // m, ceil((i + 1) * n / m)) of n."""

import math

import numpy as np

from luxgen.ops.types import Array


def adaptive_windows(x: Array, axis: int, count: int) -> list[Array]:
    """The `count` windows of x along `axis`; sizes differ by one where n % count."""
    n, before = x.shape[axis], (slice(None),) * (x.ndim + axis)
    spans = [slice(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
    return [x[(*before, span)] for span in spans]


def adaptive_avg_pool(x: Array, output_size: tuple[int | None, ...]) -> Array:
    """Pool the last axes of x to `output_size` by means; None keeps an axis."""
    for axis, count in zip(range(-len(output_size), 0), output_size, strict=True):
        if count is not None:
            parts = adaptive_windows(x, axis, count)
            x = np.stack([part.mean(axis) for part in parts], axis)
    return x


def adaptive_max_pool(x: Array, output_size: tuple[int | None, ...]) -> Array:
    """Pool the last axes of x to `output_size` by maxima; None keeps an axis."""
    for axis, count in zip(range(-len(output_size), 0), output_size, strict=True):
        if count is not None:
            parts = adaptive_windows(x, axis, count)
            x = np.stack([part.max(axis) for part in parts], axis)
    return x


def adaptive_max_pool_with_indices(
    x: Array, output_size: tuple[int | None, ...]
) -> tuple[Array, Array]:
    """Adaptive maxima of the last axes, and where each lies in its plane."""
    nd = len(output_size)
    lead, size = x.shape[:-nd], x.shape[-nd:]
    every = (slice(None),) * len(lead)
    counts = [n if m is None else m for n, m in zip(size, output_size, strict=True)]
    places = np.arange(math.prod(size)).reshape(size)
    best = np.empty((*lead, *counts), x.dtype)
    index = np.empty(best.shape, np.int64)
    for cell in np.ndindex(*counts):
        grid = zip(cell, size, counts, strict=True)
        spans = tuple(slice(i * n // m, -(-(i + 1) * n // m)) for i, n, m in grid)
        place = places[spans].ravel()
        window = x[(*every, *spans)].reshape(*lead, place.size)
        best[(*every, *cell)] = window.max(-1)
        index[(*every, *cell)] = place[window.argmax(-1)]
    return best, index
