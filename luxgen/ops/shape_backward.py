"""Backward passes of repeats, differences and strides, from the cotangent d."""

import math
from typing import Any

import numpy as np

from luxgen.ops.types import Array


def tile_backward(d: Array, x: Array, repeats: tuple[int, ...]) -> Array:
    """Sum the tiles of d, which are as large as x."""
    new = len(repeats) - x.ndim
    counts = (*(1,) * -new, *repeats)
    sizes = (*(1,) * new, *x.shape)
    shape = [n for pair in zip(counts, sizes, strict=True) for n in pair]
    tiles = d.reshape(shape)
    y: Array = tiles.sum(axis=tuple(range(0, len(shape), 2)))
    return y.reshape(x.shape)


def repeat_interleave_backward(
    d: Array, x: Array, repeats: Array, *, dim: int | None = None
) -> Array:
    """Sum over the repeats of each slice of dim, or of each element of x."""
    y = np.zeros(x.shape if dim is not None else x.size, d.dtype)
    rows, parts = (y, d) if dim is None else (y.swapaxes(0, dim), d.swapaxes(0, dim))
    np.add.at(rows, np.repeat(np.arange(len(rows)), repeats), parts)
    return y.reshape(x.shape)


def diff_backward(
    d: Array, *, n: int = 1, size: int | None = None, dim: int = -1
) -> Array:
    """Differences of order n of d between zeros: dim gets its `size` again."""
    order = n if size is None else min(n, size)
    padding = [(0, 0)] * d.ndim
    padding[dim] = (order, order)
    y = np.diff(np.pad(d, padding), order, axis=dim)
    return y if order % 2 == 0 else -y


def gradient_backward(
    d: Array, *, dim: int, spacing: Array | float = 1.0, edge_order: Any = 1
) -> Array:
    """Each element's share in the differences of which d is the cotangent.

    The spacing is one step, or the coordinates along dim.
    """
    one: Array = np.eye(d.shape[dim])
    weights: Array = np.asarray(
        np.gradient(one, spacing, axis=0, edge_order=edge_order), d.dtype
    )
    y = np.moveaxis(d, dim, -1) @ weights
    return np.moveaxis(y, -1, dim)


def as_strided_backward(
    d: Array,
    x: Array,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    storage_offset: int = 0,
) -> Array:
    """Add up d by the place in x, row by row, that each element was read from."""
    place = np.full(size, storage_offset)
    for index, step in zip(np.indices(size, sparse=True), stride, strict=True):
        place += index * step
    y = np.zeros(math.prod(x.shape), d.dtype)
    np.add.at(y, place.ravel(), d.ravel())
    return y.reshape(x.shape)


def vander_backward(d: Array, y: Array, *, increasing: bool = False) -> Array:
    """Of the powers y (n, N) of x: k times the power k - 1 for the power k."""
    if not increasing:
        d, y = np.flip(d, -1), np.flip(y, -1)
    k = np.arange(1, y.shape[-1], dtype=y.real.dtype)
    d_x: Array = (d[:, 1:] * (k * y[:, :-1].conj())).sum(axis=-1)
    return d_x
