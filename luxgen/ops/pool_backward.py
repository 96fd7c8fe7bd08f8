"""Cotangents of what max and average pooling read, one axis after the other."""

import math

import numpy as np

from luxgen.ops.adaptive_pool import adaptive_avg_pool
from luxgen.ops.conv import ntuple
from luxgen.ops.pool import pad_windows, window_spans
from luxgen.ops.types import Array


def max_pool_backward(
    d: Array,
    x: Array,
    kernel_size: tuple[int, ...],
    *,
    stride: tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    dilation: tuple[int, ...] | None = None,
    ceil_mode: bool = False,
) -> Array:
    """Cotangent of x (..., *size): each of d goes to its window's first maximum."""
    nd, size, reach = len(kernel_size), x.shape[-len(kernel_size) :], kernel_size
    steps = kernel_size if stride is None else stride
    if dilation is not None:
        pairs = zip(dilation, kernel_size, strict=True)
        reach = tuple(g * (k - 1) + 1 for g, k in pairs)
    planes = x.reshape(math.prod(x.shape[:-nd]), *size)
    sent = d.reshape(len(planes), *d.shape[-nd:])
    y = np.empty(planes.shape, d.dtype)
    some = 1 + 2**16 // math.prod(size)  # planes that fit in a cache
    for i in range(0, len(planes), some):
        part = planes[i : i + some]
        if padding != 0 or ceil_mode:
            pads = ntuple(padding, nd)
            part = pad_windows(part, reach, steps, pads, -np.inf, ceil_mode=ceil_mode)
        part = to_first_maxima(
            sent[i : i + some], part, kernel_size, steps, dilation=dilation
        )
        if padding != 0 or ceil_mode:
            ends = zip(pads, size, strict=True)
            part = part[(slice(None), *(slice(p, p + n) for p, n in ends))]
        y[i : i + some] = part
    return y.reshape(x.shape)


def to_first_maxima(
    d: Array,
    x: Array,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    *,
    dilation: tuple[int, ...] | None = None,
) -> Array:
    """Zeros like x with each of d at its window's maximum, the first in memory."""
    nd, maxima = len(kernel), [x]  # x, that reduced along its last axis, its last two
    for axis in range(-1, -nd - 1, -1):
        views = window_views(maxima[-1], axis, kernel, stride, dilation=dilation)
        maxima.append(np.maximum.reduce(views))
    for axis in range(-nd, 0):
        whole, best = maxima[-axis - 1], maxima[-axis]
        y = np.zeros(whole.shape, d.dtype)
        views = window_views(whole, axis, kernel, stride, dilation=dilation)
        spots = window_views(y, axis, kernel, stride, dilation=dilation)
        for view, spot in zip(views[:-1], spots[:-1], strict=True):
            taken = d * (view == best)
            spot += taken
            d = d - taken
        spots[-1][...] += d
        d = y
    return d


def window_views(
    x: Array,
    axis: int,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    *,
    dilation: tuple[int, ...] | None = None,
) -> list[Array]:
    """By place in a window along a (negative) axis, that element of all windows."""
    k, s = kernel[axis], stride[axis]
    starts = range(k)
    if dilation is not None:
        starts = range(0, dilation[axis] * k, dilation[axis])
    length = (x.shape[axis] - starts[-1] - 1) // s * s + 1
    before = (slice(None),) * (x.ndim + axis)
    return [x[(*before, slice(i, i + length, s))] for i in starts]


def avg_pool_backward(
    d: Array,
    size: tuple[int, ...],
    kernel_size: tuple[int, ...],
    *,
    stride: tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Cotangent of x (..., *size): each of d in equal parts to all of its window."""
    nd = len(size)
    steps = kernel_size if stride is None else stride
    pads = ntuple(padding, nd)
    if divisor_override is not None:
        d = d / divisor_override
    elif count_include_pad and not ceil_mode:
        d = d / math.prod(kernel_size)
    for axis in range(-nd, 0):
        n, k, s, p = size[axis], kernel_size[axis], steps[axis], pads[axis]
        count = d.shape[axis]
        if divisor_override is None and (ceil_mode or not count_include_pad):
            spans = window_spans(n, count, k, s, p, count_include_pad)
            d = d / spans.astype(d.dtype).reshape(-1, *[1] * (-axis - 1))
        room = max(n + p, (count - 1) * s + k)
        before, after = d.shape[:axis], d.shape[d.ndim + axis + 1 :]
        y = np.zeros((*before, room, *after), d.dtype)
        for view in window_views(y, axis, kernel_size, steps):
            view[...] += d
        d = y[(*[slice(None)] * len(before), slice(p, p + n))]
    return d


def adaptive_avg_pool_backward(d: Array, size: tuple[int, ...]) -> Array:
    """Cotangent of x (..., *size): along each axis, the transposed means."""
    for axis in range(-len(size), 0):
        count = d.shape[axis]
        if count != size[axis]:
            means = adaptive_avg_pool(np.eye(size[axis], dtype=d.dtype), (count,))
            d = matmul_along(means, d, axis)
    return d


def matmul_along(matrix: Array, x: Array, axis: int) -> Array:
    """Multiply `matrix` (n, m) by the vectors of m along a (negative) axis of x."""
    if axis == -1:
        return x @ matrix.T
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    y = matrix @ x.reshape(*before, x.shape[axis], math.prod(after))
    return y.reshape(*before, len(matrix), *after)


def pool_indices_backward(d: Array, indices: Array, size: tuple[int, ...]) -> Array:
    """Cotangent of x (..., *size): d added up at flat `indices` in each plane."""
    nd, points = len(size), math.prod(size)
    lead = d.shape[:-nd]
    y = np.zeros(math.prod(lead) * points, d.dtype)
    first = points * np.arange(math.prod(lead)).reshape(*lead, *[1] * nd)
    np.add.at(y, (indices + first).ravel(), d.ravel())
    return y.reshape(*lead, *size)


def max_unpool_backward(d: Array, indices: Array, nd: int) -> Array:
    """Cotangent of what was put at flat `indices` in the last `nd` axes of d."""
    lead = d.shape[:-nd]
    planes = d.reshape(*lead, math.prod(d.shape[-nd:]))
    places = indices.reshape(*lead, math.prod(indices.shape[-nd:]))
    return np.take_along_axis(planes, places, axis=-1).reshape(indices.shape)
