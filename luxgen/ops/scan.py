"""Running reductions along one dim."""

import numpy as np

from luxgen.ops.types import Array


def cummax(x: Array, dim: int) -> tuple[Array, Array]:
    """Running maximum and the index of its latest occurrence."""
    y = np.maximum.accumulate(x, axis=dim)
    return y, latest(x, y, dim)


def cummin(x: Array, dim: int) -> tuple[Array, Array]:
    """Running minimum and the index of its latest occurrence."""
    y = np.minimum.accumulate(x, axis=dim)
    return y, latest(x, y, dim)


def latest(x: Array, y: Array, dim: int) -> Array:
    """Index in dim of the last x up to here that equals y, or is NaN as y is."""
    shape = [1] * x.ndim
    shape[dim] = -1
    place = np.arange(x.shape[dim]).reshape(shape)
    same = (x == y) | (x != x)
    index: Array = np.maximum.accumulate(np.where(same, place, 0), axis=dim)
    return index


def logcumsumexp(x: Array, dim: int) -> Array:
    """log of the running sum of exp(x)."""
    y: Array = np.logaddexp.accumulate(x.astype(np.float64), axis=dim)
    return y.astype(x.dtype)


def trapezoid(
    y: Array, x: Array | None = None, *, dx: float = 1, dim: int = -1
) -> Array:
    """Integral of y along dim by the trapezoidal rule, at positions x or every dx."""
    y = np.moveaxis(y, dim, -1)
    area = (y[..., 1:] + y[..., :-1]) / 2
    if x is None:
        area = area * y.dtype.type(dx)
    else:
        area = area * np.diff(x if x.ndim == 1 else np.moveaxis(x, dim, -1))
    total: Array = area.sum(axis=-1)
    return total


def cumulative_trapezoid(
    y: Array, x: Array | None = None, *, dx: float = 1, dim: int = -1
) -> Array:
    """Running integral of y along dim by the trapezoidal rule."""
    y = np.moveaxis(y, dim, -1)
    area = (y[..., 1:] + y[..., :-1]) / 2
    if x is None:
        area = area * y.dtype.type(dx)
    else:
        area = area * np.diff(x if x.ndim == 1 else np.moveaxis(x, dim, -1))
    return np.moveaxis(np.cumsum(area, axis=-1), -1, dim)
