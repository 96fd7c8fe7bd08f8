"""Reading and writing by index."""

from typing import Any

import numpy as np

from luxgen.ops.types import Array


def setitem(x: Array, index: Any, value: Any, *, inner: Any = None) -> Array:
    """Copy x with value written at index, or at inner of the view at index."""
    y = np.array(x)
    if inner is None:
        y[index] = value
    else:
        y[index][inner] = value
    return y


def index_put(x: Array, indices: Any, values: Any) -> Array:
    """Copy x with values added at indices, each as often as it occurs."""
    y = np.array(x)
    np.add.at(y, indices, values)
    return y


def index_fill(x: Array, dim: int, index: Array, value: Any) -> Array:
    """Copy x with value in the slices of dim that index names."""
    y = np.array(x)
    np.moveaxis(np.atleast_1d(y), dim, 0)[index] = value
    return y


def index_copy(x: Array, dim: int, index: Array, source: Array) -> Array:
    """Copy x with slices of source written to the slices that index names."""
    y = np.array(x)
    rows = np.moveaxis(np.atleast_1d(y), dim, 0)
    rows[index] = np.moveaxis(np.atleast_1d(source), dim, 0)
    return y


def put(x: Array, index: Array, source: Array, *, accumulate: bool = False) -> Array:
    """Copy x with source written, or added, at flat positions."""
    y = np.array(x, order="C")
    if accumulate:
        np.add.at(y.reshape(-1), index.reshape(-1), source.reshape(-1))
    else:
        y.reshape(-1)[index.reshape(-1)] = source.reshape(-1)
    return y


def gather(x: Array, dim: int, index: Array) -> Array:
    """y[i, j] = x[index[i, j], j] for dim 0, of an index smaller than x."""
    box = tuple(slice(n) for n in index.shape)
    whole = slice(None)
    window = tuple(whole if d == dim % x.ndim else s for d, s in enumerate(box))
    return np.take_along_axis(x[window], index, axis=dim)


def take_along_dim(x: Array, indices: Array, dim: int) -> Array:
    """Take along dim, the other dims broadcast."""
    axis = dim % x.ndim
    pairs = zip(x.shape, indices.shape, strict=True)
    shape = [1 if d == axis else max(p) for d, p in enumerate(pairs)]
    x = np.broadcast_to(x, [*shape[:axis], x.shape[axis], *shape[axis + 1 :]])
    size = indices.shape[axis]
    indices = np.broadcast_to(indices, [*shape[:axis], size, *shape[axis + 1 :]])
    return np.take_along_axis(x, indices, axis=axis)


def nonzero_static(x: Array, *, size: int, fill_value: int = -1) -> Array:
    """The first `size` rows of np.argwhere, filled up with fill_value."""
    found = np.argwhere(x)[:size]
    missing = ((0, size - len(found)), (0, 0))
    return np.pad(found, missing, constant_values=fill_value)


def searchsorted(sorted_sequence: Array, x: Array, *, right: bool = False) -> Array:
    """np.searchsorted of each row of x in the same row of sorted_sequence."""
    rows = sorted_sequence.reshape(-1, sorted_sequence.shape[-1])
    values = x.reshape(len(rows), x.shape[-1])
    found = np.empty(values.shape, np.int64)
    for k, (row, value) in enumerate(zip(rows, values, strict=True)):
        found[k] = np.searchsorted(row, value, "right" if right else "left")
    return found.reshape(x.shape)


def unique(x: Array, *, dim: int | None = None) -> tuple[Array, ...]:
    """Sorted distinct slices, the place of each slice among them, and their counts."""
    values, place, counts = np.unique(
        x, return_inverse=True, return_counts=True, axis=dim, equal_nan=False
    )
    return values, place.reshape(x.shape if dim is None else -1), counts


def unique_consecutive(x: Array, *, dim: int | None = None) -> tuple[Array, ...]:
    """One of each run of equal slices, the run of each slice, and runs' lengths."""
    rows = x.reshape(-1) if dim is None else np.moveaxis(x, dim, 0)
    same = (rows[1:] == rows[:-1]).all(axis=tuple(range(1, rows.ndim)))
    first = np.concatenate((np.ones(min(len(rows), 1), bool), ~same))
    run = np.cumsum(first) - 1
    values, counts = rows[first], np.bincount(run, minlength=first.sum())
    if dim is None:
        return values, run.reshape(x.shape), counts
    return np.moveaxis(values, 0, dim), run, counts
