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
    steps, pads, gaps = ntuple(stride, 2), ntuple(padding, 2), ntuple(dilation, 2)
    room = tuple(m + 2 * p for m, p in zip(size, pads, strict=True))
    count = [
        (m - d * (k - 1) - 1) // s + 1
        for m, d, k, s in zip(room, gaps, kernel, steps, strict=True)
    ]
    windows = x.reshape(len(x), x.shape[1] // math.prod(kernel), *kernel, *count)
    y = overlap_add(windows, room, steps, dilation=dilation)
    return y[:, :, pads[0] : pads[0] + size[0], pads[1] : pads[1] + size[1]]


def overlap_add(
    windows: Array,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    *,
    dilation: int | tuple[int, ...] = 1,
) -> Array:
    """Add windows (N, C, *kernel, *count) up where they lie in (N, C, *size)."""
    nd, both = len(size), (slice(None),) * 2
    kernel, count = windows.shape[2 : 2 + nd], windows.shape[2 + nd :]
    y = np.zeros((*windows.shape[:2], *size), windows.dtype)
    for offset in np.ndindex(*kernel):
        start = offset
        if dilation != 1:
            gaps = ntuple(dilation, nd)
            start = tuple(o * d for o, d in zip(offset, gaps, strict=True))
        place = zip(start, stride, count, strict=True)
        spots = [slice(o, o + s * m, s) for o, s, m in place]
        y[(*both, *spots)] += windows[(*both, *offset)]
    return y
