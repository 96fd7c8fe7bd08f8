"""Backward passes of reading and reducing by index, from the cotangent d."""

from typing import Any

import numpy as np

from luxgen.ops.scatter import flat_positions, scatter_add
from luxgen.ops.types import Array


def getitem_backward(
    d: Array, x: Array, index: Any, *, inner: Any = None, repeats: bool = False
) -> Array:
    """Zeros like x with d at index (then `inner`), summed where an index repeats."""
    y = np.zeros(x.shape, d.dtype)
    if repeats:
        place = np.arange(y.size).reshape(y.shape)[index]
        if inner is not None:
            place = place[inner]
        np.add.at(y.reshape(-1), place.ravel(), d.ravel())
    else:
        y[index] = d
    return y


def take_along_dim_backward(d: Array, x: Array, indices: Array, dim: int) -> Array:
    """Zeros with d added where indices point in dim, all other dims as in d."""
    size = x.shape[dim]
    y = np.zeros((*d.shape[:dim], size, *d.shape[dim + 1 :]), d.dtype)
    return scatter_add(y, dim, np.broadcast_to(indices % size, d.shape), d)


def fit(x: Array, shape: tuple[int, ...]) -> Array:
    """Cut or fill up x with zeros to `shape`."""
    x = x[tuple(slice(n) for n in shape)]
    return np.pad(x, [(0, n - m) for n, m in zip(shape, x.shape, strict=True)])


def scatter_reduce_backward(
    d: Array,
    x: Array,
    dim: int,
    index: Array,
    src: Array,
    y: Array,
    reduce: str,
    *,
    include_self: bool = True,
) -> tuple[Array, Array]:
    """Of x and src, whose elements were reduced into y (itself d's result)."""
    index, values = np.atleast_1d(index, src)
    place = flat_positions(x.shape or (1,), dim, index).ravel()
    part = tuple(slice(n) for n in index.shape)
    used = values[part].ravel()
    own, total = d.ravel(), y.ravel()
    d_used, d_own = own[place], own
    kept = np.ones(x.size, bool)
    if not include_self:
        kept[place] = False
    if reduce == "mean":
        count = np.maximum(kept + np.bincount(place, minlength=x.size), 1)
        d_own = own / count.astype(d.dtype)
        d_used = d_own[place]
    elif reduce == "prod":
        start = np.where(kept, x.ravel(), np.ones_like(x.ravel()))
        zeros = (start == 0) + np.bincount(place[used == 0], minlength=x.size)
        rest = np.where(start == 0, np.ones_like(start), start)
        np.multiply.at(rest, place, np.where(used == 0, np.ones_like(used), used))
        d_own = own * others(start, rest, zeros)
        d_used = own[place] * others(used, rest[place], zeros[place])
    elif reduce != "sum":  # the largest or smallest share it
        first = kept & (x.ravel() == total)
        chosen = used == total[place]
        count = first + np.bincount(place[chosen], minlength=x.size)
        d_own = own / np.maximum(count, 1).astype(d.dtype)
        d_used = np.where(chosen, d_own[place], np.zeros_like(used))
        d_own = np.where(first, d_own, np.zeros_like(d_own))
    d_src = np.zeros(values.shape, d.dtype)
    d_src[part] = d_used.reshape(index.shape)
    d_own = np.where(kept, d_own, np.zeros_like(d_own))
    return d_own.reshape(x.shape), d_src.reshape(src.shape)


def others(x: Array, rest: Array, zeros: Array) -> Array:
    """The product of a group less x: `rest` is that of its `zeros` non-zeros."""
    own = np.where(x == 0, np.ones_like(x), x)
    alone = zeros == (x == 0)
    y: Array = np.where(alone, rest / own, np.zeros_like(x))
    return y
