"""Sliding blocks as columns and back: im2col and col2im."""

import math

import numpy as np

from luxgen.ops.conv import ntuple
from luxgen.ops.types import Array


def unfold(
    x: Array,
    kernel_size: int | tuple[int, ...],
    *,
    dilation: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    stride: int | tuple[int, ...] = 1,
) -> Array:
    """Copy the blocks of x (N, C, H, W) into columns (N, C * kh * kw, blocks)."""
    (kh, kw), (dh, dw) = ntuple(kernel_size, 2), ntuple(dilation, 2)
    (ph, pw), (sh, sw) = ntuple(padding, 2), ntuple(stride, 2)
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    reach = (dh * (kh - 1) + 1, dw * (kw - 1) + 1)
    windows = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(2, 3))
    windows = windows[:, :, ::sh, ::sw, ::dh, ::dw].transpose(0, 1, 4, 5, 2, 3)
    n, c, _, _, h, w = windows.shape
    return windows.reshape(n, c * kh * kw, h * w)


def fold(
    x: Array,
    output_size: int | tuple[int, ...],
    kernel_size: int | tuple[int, ...],
    *,
    dilation: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    stride: int | tuple[int, ...] = 1,
) -> Array:
    """Add the columns x (N, C * kh * kw, blocks) up into images (N, C, H, W)."""
    size, kernel = ntuple(output_size, 2), ntuple(kernel_size, 2)
    options = (ntuple(stride, 2), ntuple(padding, 2), ntuple(dilation, 2))
    count = [
        (m + 2 * p - d * (k - 1) - 1) // s + 1
        for m, k, s, p, d in zip(size, kernel, *options, strict=True)
    ]
    windows = x.reshape(len(x), x.shape[1] // math.prod(kernel), *kernel, *count)
    return overlap_add(windows, size, *options)


def overlap_add(
    windows: Array,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Array:
    """Add windows (N, C, *kernel, *count) up where they lie in (N, C, *size)."""
    nd, both = len(size), (slice(None),) * 2
    kernel, count = windows.shape[2 : 2 + nd], windows.shape[2 + nd :]
    room = [m + 2 * p for m, p in zip(size, padding, strict=True)]
    y = np.zeros((*windows.shape[:2], *room), windows.dtype)
    for offset in np.ndindex(*kernel):
        place = zip(offset, dilation, stride, count, strict=True)
        spots = [slice(o * d, o * d + s * m, s) for o, d, s, m in place]
        y[(*both, *spots)] += windows[(*both, *offset)]
    inside = [slice(p, p + m) for p, m in zip(padding, size, strict=True)]
    return y[(*both, *inside)]
