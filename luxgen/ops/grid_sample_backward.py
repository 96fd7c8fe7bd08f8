"""Cotangents of an image that was read at fractional points, and of the points."""

import itertools
import math

import numpy as np

from luxgen.ops.grid_sample import affine_grid, gather_points, inside_points
from luxgen.ops.resize import cubic_kernel
from luxgen.ops.types import Array


def grid_sample_backward(
    d: Array,
    x: Array,
    grid: Array,
    *,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> tuple[Array, Array]:
    """Cotangents of x (N, C, *size) and grid (N, *out, len(size)).

    Each tap of a point, at a weight for each axis, has read a part of the result.
    """
    nd = x.ndim - 2
    taps, slopes = [], []  # by axis: (place, weight, its derivative) of each tap
    for axis, n in enumerate(x.shape[2:]):
        at = grid[..., nd - 1 - axis]
        at = (at + 1) / 2 * (n - 1) if align_corners else ((at + 1) * n - 1) / 2
        slope: Array = np.full(at.shape, (n - 1 if align_corners else n) / 2, at.dtype)
        if mode != "bicubic":
            slope = slope * inside_slope(at, n, padding_mode, align_corners)
            at = inside_points(at, n, padding_mode, align_corners)
        slopes.append(slope)
        low = np.floor(at)
        part, one = at - low, np.ones(at.shape, at.dtype)
        if mode == "nearest":
            taps.append([(np.rint(at), one, 0 * one)])
        elif mode == "bilinear":
            taps.append([(low, 1 - part, -one), (low + 1, part, one)])
        else:
            places = [low + (k - 1) for k in range(4)]
            places = [inside_points(p, n, padding_mode, align_corners) for p in places]
            weights = [cubic_kernel(part + 1 - k, -0.75) for k in range(4)]
            changes = [cubic_slope(part + 1 - k, -0.75) for k in range(4)]
            taps.append(list(zip(places, weights, changes, strict=True)))
    dx, dgrid = np.zeros(x.shape, d.dtype), np.zeros(grid.shape, d.dtype)
    for corner in itertools.product(*taps):
        points, weights, changes = zip(*corner, strict=True)
        add_points(dx, points, d * np.prod(weights, axis=0)[:, None])
        if mode != "nearest":
            felt = (d * gather_points(x, points)).sum(axis=1)
            for axis in range(nd):
                others = np.prod(weights[:axis] + weights[axis + 1 :], axis=0)
                dgrid[..., nd - 1 - axis] += felt * changes[axis] * others
    for axis in range(nd):
        dgrid[..., nd - 1 - axis] *= slopes[axis]
    return dx, dgrid


def inside_slope(at: Array, n: int, padding_mode: str, align_corners: bool) -> Array:
    """Derivative of `inside_points`: 1, -1 where reflected, 0 where clipped."""
    slope: Array = np.ones(at.shape, at.dtype)
    if padding_mode == "zeros":
        return slope
    if padding_mode == "reflection":
        low, span = (0.0, n - 1.0) if align_corners else (-0.5, float(n))
        if span > 0:
            turns = np.floor(np.abs(at - low) / span)
            slope[(at < low) != (turns % 2 == 1)] = -1
    inside = inside_points(at, n, padding_mode, align_corners)
    slope[(inside <= 0) | (inside >= n - 1)] = 0
    return slope


def cubic_slope(t: Array, a: float) -> Array:
    """Derivative of Keys' cubic convolution kernel at t."""
    s = np.abs(t)
    near = (3 * (a + 2) * s - 2 * (a + 3)) * s
    far = (3 * a * s - 10 * a) * s + 8 * a
    return np.sign(t) * np.where(s <= 1, near, np.where(s < 2, far, 0))


def add_points(y: Array, points: tuple[Array, ...], values: Array) -> None:
    """Add values (N, C, *out) to y (N, C, *size) at whole-numbered points inside."""
    n, c, *size = y.shape
    inside = np.ones((), np.bool_)
    flat = np.zeros((), np.int64)
    for at, m in zip(points, size, strict=True):
        inside = inside & (at >= 0) & (at <= m - 1)
        flat = flat * m + np.fmin(np.fmax(at, 0), m - 1).astype(np.int64)
    planes = y.reshape(n, c * math.prod(size))  # y is contiguous: a view
    first = np.arange(c)[:, None] * math.prod(size)
    values = values * inside[:, None]
    for plane, places, some in zip(planes, flat, values, strict=True):
        np.add.at(plane, (first + places.ravel()).ravel(), some.ravel())


def affine_grid_backward(d: Array, *, align_corners: bool = False) -> Array:
    """Cotangent of theta (N, k, k + 1) from that of the points (N, *out, k)."""
    n, *size, k = d.shape
    plain = np.eye(k, k + 1, dtype=d.dtype)[None]
    points = affine_grid(plain, (1, 1, *size), align_corners=align_corners)
    base = points.reshape(math.prod(size), k)
    base = np.concatenate([base, np.ones((len(base), 1), d.dtype)], axis=1)
    return d.reshape(n, len(base), k).swapaxes(1, 2) @ base
