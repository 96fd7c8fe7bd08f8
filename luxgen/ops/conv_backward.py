"""Cotangents of a convolution's input and weight; its bias gets the sum of d."""

import math

import numpy as np

from luxgen.ops.conv import correlate, ntuple
from luxgen.ops.conv_transpose import conv_transpose
from luxgen.ops.grouped_conv import grouped_conv
from luxgen.ops.types import Array


def conv_input_backward(
    d: Array,
    weight: Array,
    size: tuple[int, ...],
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
) -> Array:
    """Cotangent of the input (N, C, *size): d correlated with the flipped weight."""
    nd, kernel = len(size), weight.shape[2:]
    pads, reach = ntuple(padding, nd), kernel
    if dilation != 1:
        gaps = ntuple(dilation, nd)
        reach = tuple(g * (k - 1) + 1 for g, k in zip(gaps, kernel, strict=True))
    if stride != 1:
        steps = ntuple(stride, nd)
        sizes = zip(size, pads, reach, steps, strict=True)
        return conv_transpose(
            d,
            weight,
            stride=stride,
            padding=padding,
            output_padding=tuple((n + 2 * p - r) % s for n, p, r, s in sizes),
            dilation=dilation,
        )
    over = max(0, *(p + 1 - r for p, r in zip(pads, reach, strict=True)))
    edges = [(0, 0), (0, 0)]
    for n, m, p, r in zip(size, d.shape[2:], pads, reach, strict=True):
        edges.append((r - 1 - p + over, n - m + p + over))
    windows = conv_windows(np.pad(d, edges), kernel, dilation=dilation)
    flipped: Array = np.flip(weight, axis=tuple(range(2, nd + 2)))
    y = correlate(windows, flipped.swapaxes(0, 1))
    return y[(slice(None), slice(None), *(slice(over, over + n) for n in size))]


def grouped_conv_input_backward(
    d: Array,
    weight: Array,
    size: tuple[int, ...],
    groups: int,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
) -> Array:
    """Cotangent of the input: d, spread by the stride, with the flipped weight."""
    nd, kernel = len(size), weight.shape[2:]
    steps, pads, reach = ntuple(stride, nd), ntuple(padding, nd), kernel
    if dilation != 1:
        gaps = ntuple(dilation, nd)
        reach = tuple(g * (k - 1) + 1 for g, k in zip(gaps, kernel, strict=True))
    over = max(0, *(p + 1 - r for p, r in zip(pads, reach, strict=True)))
    room = (n + r - 1 + 2 * over for n, r in zip(size, reach, strict=True))
    spread = np.zeros((*d.shape[:2], *room), d.dtype)
    first = [r - 1 - p + over for p, r in zip(pads, reach, strict=True)]
    places = zip(first, d.shape[2:], steps, strict=True)
    spots = (slice(f, f + m * s, s) for f, m, s in places)
    spread[(slice(None), slice(None), *spots)] = d
    flipped: Array = np.flip(weight, axis=tuple(range(2, nd + 2)))
    flipped = flipped.reshape(groups, -1, *flipped.shape[1:]).swapaxes(1, 2)
    flipped = flipped.reshape(-1, len(weight) // groups, *kernel)
    y = grouped_conv(spread, flipped, dilation=dilation)
    return y[(slice(None), slice(None), *(slice(over, over + n) for n in size))]


def conv_weight_backward(
    d: Array,
    x: Array,
    kernel_size: tuple[int, ...],
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Array:
    """Cotangent of the weight (O, C / groups, *kernel): d times the windows of x."""
    nd, (n, outs, *count) = len(kernel_size), d.shape
    if padding != 0:
        x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in ntuple(padding, nd))])
    windows = conv_windows(x, kernel_size, stride=stride, dilation=dilation)
    if output_padding != 0:
        windows = windows[(slice(None), slice(None), *(slice(m) for m in count))]
    order = (1, *range(2 + nd, 2 + 2 * nd), 0, *range(2, 2 + nd))
    cells = x.shape[1] * math.prod(kernel_size)
    y = np.zeros((cells, outs), d.dtype)
    if groups != 1:
        y = np.zeros((groups, cells // groups, outs // groups), d.dtype)
    scratch = max(2**17, 2 * y.size)  # elements of `windows` copied at a time
    step = 1 + scratch // (windows[:1].size + 1)
    rows = 1 + scratch // (windows[:step, :, :1].size + 1)
    for i in range(0, n, step):
        for j in range(0, count[0], rows):
            some = np.s_[i : i + step, :, j : j + rows]
            columns = windows[some].transpose(order)  # (C, *kernel, N, *out)
            left: Array = columns.reshape(cells, -1)
            right: Array = d[some].swapaxes(0, 1).reshape(outs, -1)
            if groups != 1:
                left = left.reshape(groups, cells // groups, -1)
                right = right.reshape(groups, outs // groups, -1)
            y += left @ right.swapaxes(-2, -1)
    return y.swapaxes(-2, -1).reshape(outs, -1, *kernel_size)


def same_padding(
    weight: Array, *, dilation: int | tuple[int, ...] = 1
) -> tuple[int, ...]:
    """What `padding="same"` adds in front of each axis."""
    kernel = weight.shape[2:]
    if dilation != 1:
        gaps = ntuple(dilation, len(kernel))
        return tuple(g * (k - 1) // 2 for g, k in zip(gaps, kernel, strict=True))
    return tuple((k - 1) // 2 for k in kernel)


def conv_windows(
    x: Array,
    kernel_size: tuple[int, ...],
    *,
    stride: int | tuple[int, ...] = 1,
    dilation: int | tuple[int, ...] = 1,
) -> Array:
    """Windows (N, C, *out, *kernel) of x (N, C, *size), as a view of x."""
    nd, reach = len(kernel_size), kernel_size
    if dilation != 1:
        gaps = ntuple(dilation, nd)
        reach = tuple(g * (k - 1) + 1 for g, k in zip(gaps, kernel_size, strict=True))
    axes = tuple(range(2, nd + 2))
    windows = np.lib.stride_tricks.sliding_window_view(x, reach, axis=axes)
    if dilation != 1:
        holes = (slice(None, None, g) for g in gaps)
        windows = windows[(*[slice(None)] * (2 + nd), *holes)]
    if stride != 1:
        steps = (slice(None, None, s) for s in ntuple(stride, nd))
        windows = windows[(slice(None), slice(None), *steps)]
    return windows
