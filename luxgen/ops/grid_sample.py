"""Reading images at fractional points: grid_sample and affine_grid."""

import math

import numpy as np

from luxgen.ops.resize import cubic_kernel
from luxgen.ops.types import Array


def grid_sample(
    x: Array,
    grid: Array,
    *,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> Array:
    """Read x (N, C, *size) at grid (N, *out, len(size)): (N, C, *out).

    A point has the last axis' coordinate first; -1 and 1 are the ends of an axis.
    """
    points = []
    for axis, n in enumerate(x.shape[2:]):
        at = grid[..., x.ndim - 3 - axis]
        at = (at + 1) / 2 * (n - 1) if align_corners else ((at + 1) * n - 1) / 2
        if mode != "bicubic":
            at = inside_points(at, n, padding_mode, align_corners)
        points.append(at)
    if mode == "nearest":
        return gather_points(x, [np.rint(at) for at in points])
    low = [np.floor(at) for at in points]
    y: Array = np.zeros((), x.dtype)
    for offset in np.ndindex(*[4 if mode == "bicubic" else 2] * len(points)):
        taps, weight = [], np.ones((), x.dtype)
        for at, first, k, n in zip(points, low, offset, x.shape[2:], strict=True):
            tap, part = first + k, at - first
            if mode == "bicubic":
                tap = inside_points(tap - 1, n, padding_mode, align_corners)
                weight = weight * cubic_kernel(part + 1 - k, -0.75)
            else:
                weight = weight * (part if k else 1 - part)
            taps.append(tap)
        y = y + gather_points(x, taps) * weight[:, None]
    return y


def inside_points(at: Array, n: int, padding_mode: str, align_corners: bool) -> Array:
    """Coordinates outside of an axis of n elements brought to where they read."""
    if padding_mode == "zeros":
        return np.clip(at, -3, n + 2)  # far enough out to read nothing but zeros
    if padding_mode == "reflection":
        low, span = (0.0, n - 1.0) if align_corners else (-0.5, float(n))
        if span > 0:
            distance = np.abs(at - low)
            turns, rest = np.floor(distance / span), np.fmod(distance, span)
            at = np.where(turns % 2 == 0, rest, span - rest) + low
    return np.fmin(np.fmax(at, 0), n - 1)  # NaN reads element 0


def gather_points(x: Array, points: list[Array]) -> Array:
    """Elements of x (N, C, *size) at whole-numbered points (N, *out), or zero."""
    size = x.shape[2:]
    inside = np.ones((), np.bool_)
    flat = np.zeros((), np.int64)
    for at, n in zip(points, size, strict=True):
        inside = inside & (at >= 0) & (at <= n - 1)
        flat = flat * n + np.fmin(np.fmax(at, 0), n - 1).astype(np.int64)
    planes = x.reshape(*x.shape[:2], math.prod(size))
    y = np.empty((*x.shape[:2], *flat.shape[1:]), x.dtype)
    for out, plane, index in zip(y, planes, flat, strict=True):
        plane.take(index, axis=1, out=out)
    y *= inside[:, None]
    return y


def affine_grid(
    theta: Array, size: tuple[int, ...], *, align_corners: bool = False
) -> Array:
    """Points (N, *out, d) that theta (N, d, d + 1) moves a regular grid to."""
    lines = []
    for n in size[2:]:
        line = np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
        lines.append(line if align_corners else line * ((n - 1) / n))
    mesh = np.meshgrid(*lines, indexing="ij")
    base = np.stack([*mesh[::-1], np.ones(size[2:])], axis=-1).astype(theta.dtype)
    points = base.reshape(-1, len(size) - 1) @ theta.swapaxes(1, 2)
    return points.reshape(len(theta), *size[2:], len(size) - 2)
