"""Gradients of running reductions, differences and integrals along one dim."""

from typing import Any

import numpy as np

from luxgen.ops.types import Array


def cumsum_backward(d: Array, dim: int) -> Array:
    """Sums from each element to the end, accumulated in double precision."""
    wide = np.result_type(d, np.float64)
    y: Array = np.flip(np.cumsum(np.flip(d, dim), axis=dim, dtype=wide), dim)
    return y.astype(d.dtype)


def cumprod_backward(d: Array, x: Array, y: Array, dim: int) -> Array:
    """Cotangent of x; the first 0 in a row ends what the elements before it reach."""
    zero = x == 0
    first = zero & (np.cumsum(zero, axis=dim) == 1)
    nonzero = np.where(zero, np.ones_like(x), x)
    before = cumsum_backward(d * y.conj(), dim) / nonzero.conj()
    skipped = np.cumprod(np.where(first, np.ones_like(x), x), axis=dim)
    at_first = cumsum_backward(d * skipped.conj(), dim)
    return np.where(first, at_first, before)


def logcumsumexp_backward(d: Array, x: Array, y: Array, dim: int) -> Array:
    """exp(x) times the sums to the end of d * exp(-y), in logarithms."""
    z, dtype = x.astype(np.float64), x.dtype
    finite = np.where(np.isneginf(y), 0, y)

    def reversed_logcumsumexp(part: Array) -> Array:
        with np.errstate(divide="ignore"):  # log(0) where no cotangent is
            log = np.log(np.maximum(part, 0).astype(np.float64)) - finite
        return np.flip(np.logaddexp.accumulate(np.flip(log, dim), axis=dim), dim)

    up, down = reversed_logcumsumexp(d), reversed_logcumsumexp(-d)
    return (np.exp(up + z) - np.exp(down + z)).astype(dtype)


def diff_backward(d: Array, n: int, dim: int, size: int) -> Array:
    """Cotangent of an array with `size` elements in dim."""
    pad = [(0, 0)] * d.ndim
    pad[dim] = (n, n)
    y: Array = (-1) ** n * np.diff(np.pad(d, pad), n, axis=dim)
    if y.shape[dim] == size:
        return y
    return np.zeros((*d.shape[:dim], size, *d.shape[dim + 1 :]), d.dtype)


def areas_backward(
    d: Array, y: Array, x: Array | None = None, *, dx: Any = 1, dim: int = -1
) -> Array:
    """Cotangent of y from `d` of the areas between its neighbours in dim."""
    half = np.moveaxis(d, dim, -1) / 2
    if x is None:
        half = half * d.dtype.type(dx)
    else:
        half = half * np.diff(x if x.ndim == 1 else np.moveaxis(x, dim, -1))
    found = np.zeros_like(np.moveaxis(y, dim, -1))
    found[..., 1:] += half
    found[..., :-1] += half
    return np.moveaxis(found, -1, dim)


def positions_backward(d: Array, y: Array, x: Array, *, dim: int = -1) -> Array:
    """Cotangent of the positions x from `d` of the areas between neighbours."""
    y = np.moveaxis(y, dim, -1)
    area = np.moveaxis(d, dim, -1) * (y[..., 1:] + y[..., :-1]) / 2
    if x.ndim == 1:
        area = area.reshape(-1, area.shape[-1]).sum(axis=0)
    pad = [(0, 0)] * (area.ndim - 1) + [(1, 1)]
    found: Array = -np.diff(np.pad(area, pad))
    return found if x.ndim == 1 else np.moveaxis(found, -1, dim)


def gradient_backward(
    d: tuple[Array, ...],
    x: Array,
    *,
    spacing: Any = 1,
    dim: Any = None,
    edge_order: int = 1,
) -> Array:
    """Cotangent of x from those of its differences along each of dim."""
    if dim is None:
        dim = tuple(range(x.ndim))
    dims = (dim,) if isinstance(dim, int) else dim
    steps = spacing if isinstance(spacing, (tuple, list)) else [spacing] * len(dims)
    total = np.zeros_like(x)
    for part, axis, step in zip(d, dims, steps, strict=True):
        differences: Any = np.gradient  # its types know no array of positions
        matrix = differences(np.eye(x.shape[axis]), step, axis=0, edge_order=edge_order)
        matrix = matrix.astype(x.dtype)
        total += np.moveaxis(np.moveaxis(part, axis, -1) @ matrix, -1, axis)
    return total
