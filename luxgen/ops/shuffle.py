"""Rearrangements between channels and space."""

import numpy as np

from luxgen.ops.types import Array


def pixel_shuffle(x: Array, upscale_factor: int) -> Array:
    """Map x (..., C * r * r, H, W) to (..., C, H * r, W * r)."""
    *lead, c, h, w = x.shape
    r = upscale_factor
    x = x.reshape(*lead, c // r**2, r, r, h, w)
    x = np.moveaxis(x, (-4, -3), (-3, -1))  # (..., C, H, r, W, r)
    return x.reshape(*lead, c // r**2, h * r, w * r)


def pixel_unshuffle(x: Array, downscale_factor: int) -> Array:
    """Map x (..., C, H * r, W * r) to (..., C * r * r, H, W)."""
    *lead, c, h, w = x.shape
    r = downscale_factor
    x = x.reshape(*lead, c, h // r, r, w // r, r)
    x = np.moveaxis(x, (-3, -1), (-4, -3))  # (..., C, r, r, H, W)
    return x.reshape(*lead, c * r**2, h // r, w // r)


def channel_shuffle(x: Array, groups: int) -> Array:
    """Interleave the channels of `groups` groups of x (N, C, ...)."""
    n, c, *size = x.shape
    return x.reshape(n, groups, c // groups, *size).swapaxes(1, 2).reshape(x.shape)
