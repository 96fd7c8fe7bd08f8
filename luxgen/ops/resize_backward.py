"""Cotangents of what interpolation read: d times its weights, axis by axis.

Interpolation multiplies each axis by a matrix: what it makes of the unit vectors.
"""

import numpy as np

from luxgen.ops.pool_backward import matmul_along
from luxgen.ops.resize import (
    interpolate_antialias,
    interpolate_cubic,
    interpolate_linear,
    interpolate_nearest,
)
from luxgen.ops.types import Array


def interpolate_nearest_backward(
    d: Array,
    size: tuple[int, ...],
    *,
    scale_factor: tuple[float, ...] | None = None,
    exact: bool = False,
) -> Array:
    """Cotangent of x (N, C, *size): d added up where each element was read."""
    out = d.shape[2:]
    for axis, n in enumerate(size):
        place = np.arange(n, dtype=d.dtype).reshape(-1, *[1] * (len(size) - axis - 1))
        places = np.broadcast_to(place, (1, 1, *size))
        read = interpolate_nearest(places, out, scale_factor=scale_factor, exact=exact)
        line = np.moveaxis(read[0, 0], axis, 0).reshape(out[axis], -1)[:, 0]
        chosen = np.arange(n)[:, None] == line
        d = matmul_along(chosen.astype(d.dtype), d, axis - len(size))
    return d


def interpolate_weighted_backward(
    d: Array,
    size: tuple[int, ...],
    *,
    scale_factor: tuple[float, ...] | None = None,
    align_corners: bool = False,
    cubic: bool = False,
    antialias: bool = False,
) -> Array:
    """Cotangent of x (N, C, *size) of a linear or cubic interpolation."""
    for axis, n in enumerate(size, start=2):
        unit, out = np.eye(n, dtype=d.dtype)[None], (d.shape[axis],)
        step = None if scale_factor is None else (scale_factor[axis - 2],)
        if antialias:
            weights = interpolate_antialias(
                unit, out, scale_factor=step, align_corners=align_corners, cubic=cubic
            )
        elif cubic:
            weights = interpolate_cubic(
                unit, out, scale_factor=step, align_corners=align_corners
            )
        else:
            weights = interpolate_linear(
                unit, out, scale_factor=step, align_corners=align_corners
            )
        d = matmul_along(weights[0], d, axis - d.ndim)
    return d
