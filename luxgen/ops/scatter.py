"""Scatter: writing and reducing at the positions that an index array names."""

from typing import Any

import numpy as np

from luxgen.ops.types import Array


def flat_positions(shape: tuple[int, ...], dim: int, index: Array) -> Array:
    """Flat position in an array of `shape` of each entry that index names in dim."""
    grid: list[Array] = list(np.indices(index.shape, sparse=True))
    grid[dim] = index
    return np.asarray(np.ravel_multi_index(tuple(grid), shape))


def scatter(x: Array, dim: int, index: Array, src: Any) -> Array:
    """Copy x with src, an array or a number, written where index points in dim."""
    y = np.array(x, order="C")
    if np.ndim(src) > 0:  # entries of src beyond index are not used
        src = src[tuple(slice(n) for n in index.shape)]
    y.reshape(-1)[flat_positions(x.shape, dim, index)] = src
    return y


def scatter_add(x: Array, dim: int, index: Array, src: Array) -> Array:
    """Copy x with src added where index points in dim."""
    y = np.array(x, order="C")
    src = src[tuple(slice(n) for n in index.shape)]
    positions = flat_positions(x.shape, dim, index)
    np.add.at(y.reshape(-1), positions.reshape(-1), src.reshape(-1))
    return y


def scatter_reduce(
    x: Array,
    dim: int,
    index: Array,
    src: Array,
    reduce: str,
    *,
    include_self: bool = True,
) -> Array:
    """Copy x with src reduced ("sum", "prod", "mean", "amax", "amin") into it."""
    y = np.array(x, order="C").reshape(-1)
    src = src[tuple(slice(n) for n in index.shape)].reshape(-1)
    positions = flat_positions(x.shape, dim, index).reshape(-1)
    if not include_self:  # any of src is a start for a maximum or minimum
        start = {"sum": 0, "mean": 0, "prod": 1}
        y[positions] = start.get(reduce, src)
    ufuncs: dict[str, Any] = {
        "prod": np.multiply,
        "amax": np.maximum,
        "amin": np.minimum,
    }
    ufuncs.get(reduce, np.add).at(y, positions, src)
    if reduce == "mean":
        count = np.bincount(positions, minlength=y.size) + include_self
        count = np.maximum(count, 1).astype(y.dtype)
        y = y // count if y.dtype.kind in "iu" else y / count
    return y.reshape(x.shape)


def index_add(x: Array, dim: int, index: Array, source: Array) -> Array:
    """Copy x with slices of source added to the slices of dim that index names."""
    shape = [1] * source.ndim
    shape[dim] = -1
    index = np.broadcast_to(index.reshape(shape), source.shape)
    return scatter_add(x, dim, index, source)


def index_reduce(
    x: Array,
    dim: int,
    index: Array,
    source: Array,
    reduce: str,
    *,
    include_self: bool = True,
) -> Array:
    """Copy x with slices of source reduced into the slices that index names."""
    shape = [1] * source.ndim
    shape[dim] = -1
    index = np.broadcast_to(index.reshape(shape), source.shape)
    return scatter_reduce(x, dim, index, source, reduce, include_self=include_self)
