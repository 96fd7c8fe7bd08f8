"""Sorting and order statistics along one dim; NaN counts as the largest.

Equal elements come in the order of their indices, where torch leaves it open.
"""

import numpy as np

from luxgen.ops.types import Array


def argsort(x: Array, dim: int = -1, *, descending: bool = False) -> Array:
    """Indices that sort dim, stably."""
    if descending:  # sort the mirror image: equal elements keep their order
        mirrored = np.argsort(np.flip(x, dim), axis=dim, kind="stable")
        order: Array = x.shape[dim] - 1 - np.flip(mirrored, dim)
        return order
    return np.argsort(x, axis=dim, kind="stable")


def sort(x: Array, dim: int = -1, *, descending: bool = False) -> tuple[Array, Array]:
    """Sorted values and their indices."""
    order = argsort(x, dim, descending=descending)
    return np.take_along_axis(x, order, axis=dim), order


def topk(
    x: Array, k: int, dim: int = -1, *, largest: bool = True
) -> tuple[Array, Array]:
    """The k largest (or smallest) values in order, and their indices."""
    place = min(x.shape[dim] - k, x.shape[dim] - 1) if largest else max(k - 1, 0)
    edge = np.take(np.partition(x, place, axis=dim), [place], axis=dim)
    nan, nan_edge = x != x, edge != edge  # NaN is the largest
    above = (x > edge) | (nan & ~nan_edge)
    level = (x == edge) | (nan & nan_edge)
    inside = above if largest else ~(above | level)
    room = k - inside.sum(axis=dim, keepdims=True)
    kept = np.moveaxis(inside | (level & (level.cumsum(axis=dim) <= room)), dim, -1)
    rows = np.nonzero(kept)[-1].reshape(*kept.shape[:-1], k)
    index = np.moveaxis(rows, -1, dim)
    order = argsort(np.take_along_axis(x, index, axis=dim), dim, descending=largest)
    index = np.take_along_axis(index, order, axis=dim)
    return np.take_along_axis(x, index, axis=dim), index


def pick(
    x: Array, order: Array, k: Array | int, dim: int, keepdim: bool
) -> tuple[Array, Array]:
    """The k-th of `order` along dim: value and index."""
    shape = [n if d != dim % x.ndim else 1 for d, n in enumerate(x.shape)]
    index = np.take_along_axis(order, np.broadcast_to(k, shape), axis=dim)
    value = np.take_along_axis(x, index, axis=dim)
    if keepdim:
        return value, index
    return value.squeeze(axis=dim), index.squeeze(axis=dim)


def kthvalue(
    x: Array, k: int, dim: int = -1, *, keepdim: bool = False
) -> tuple[Array, Array]:
    """The k-th smallest value, counted from 1, and its index."""
    return pick(x, argsort(x, dim), k - 1, dim, keepdim)


def median(x: Array, dim: int, *, keepdim: bool = False) -> tuple[Array, Array]:
    """The lower median and its index; NaN if there is any."""
    n = x.shape[dim]
    nans = np.isnan(x).sum(axis=dim, keepdims=True)
    k = np.where(nans > 0, n - nans, (n - 1) // 2)
    return pick(x, argsort(x, dim), k, dim, keepdim)


def nanmedian(x: Array, dim: int, *, keepdim: bool = False) -> tuple[Array, Array]:
    """The lower median of what isn't NaN, and its index."""
    numbers = (~np.isnan(x)).sum(axis=dim, keepdims=True)
    k = np.maximum(numbers - 1, 0) // 2
    return pick(x, argsort(x, dim), k, dim, keepdim)


def mode(x: Array, dim: int = -1, *, keepdim: bool = False) -> tuple[Array, Array]:
    """The most frequent value, the smallest of several, and its last index."""
    order = np.moveaxis(argsort(x, dim), dim, -1)
    rows = np.take_along_axis(np.moveaxis(x, dim, -1), order, axis=-1)
    place = np.arange(rows.shape[-1])
    starts = np.ones(rows.shape, bool)
    starts[..., 1:] = rows[..., 1:] != rows[..., :-1]
    start = np.maximum.accumulate(np.where(starts, place, 0), axis=-1)
    k = np.argmax(place - start, axis=-1)  # the first of the longest runs' ends
    return pick(x, argsort(x, dim), np.expand_dims(k, dim), dim, keepdim)
