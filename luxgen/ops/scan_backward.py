"""Gradients of running reductions and integrals along one dim."""

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
    before = cumsum_backward(d * y, dim) / nonzero
    skipped = np.cumprod(np.where(first, np.ones_like(x), x), axis=dim)
    at_first = cumsum_backward(d * skipped, dim)
    return np.where(first, at_first, before)


def logcumsumexp_backward(d: Array, x: Array, y: Array, dim: int) -> Array:
    """exp(x) times the sums to the end of d * exp(-y), in logarithms."""
    z, finite = x.astype(np.float64), np.where(np.isneginf(y), 0, y)
    with np.errstate(divide="ignore"):  # log(0) where no cotangent is
        up = np.log(np.maximum(d, 0).astype(np.float64)) - finite
        down = np.log(np.maximum(-d, 0).astype(np.float64)) - finite
    up, down = (
        np.flip(np.logaddexp.accumulate(np.flip(log, dim), axis=dim), dim)
        for log in (up, down)
    )
    found: Array = np.exp(up + z) - np.exp(down + z)
    return found.astype(x.dtype)


def areas_backward(
    d: Array, y: Array, x: Array | None = None, *, dx: Any = 1, dim: int = -1
) -> Array:
    """Cotangent of y from `d` of the areas between its neighbours in dim."""
    half = np.moveaxis(d, dim, -1) / 2
    if x is None:
        half = half if dx == 1 else half * d.dtype.type(dx)
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
