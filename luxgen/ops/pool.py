"""Max and average pooling; a window is reduced along one axis after the other."""

import math

import numpy as np

from luxgen.ops.conv import ntuple
from luxgen.ops.types import Array


def max_pool1d(
    x: Array,
    kernel_size: int | tuple[int, ...],
    *,
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
) -> Array:
    """Maximum of each window of x (..., L)."""
    (k,) = ntuple(kernel_size, 1)
    (s,) = ntuple(kernel_size if stride is None else stride, 1)
    if padding != 0 or ceil_mode:
        pads = ntuple(padding, 1)
        x = pad_windows(x, (k,), (s,), pads, -np.inf, ceil_mode=ceil_mode)
    count = (x.shape[-1] - k) // s + 1
    y: Array = np.maximum.reduce([x[..., i : i + s * count : s] for i in range(k)])
    return y


def max_pool2d(
    x: Array,
    kernel_size: int | tuple[int, ...],
    *,
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
) -> Array:
    """Maximum of each window of x (..., H, W)."""
    kh, kw = ntuple(kernel_size, 2)
    sh, sw = ntuple(kernel_size if stride is None else stride, 2)
    if padding != 0 or ceil_mode:
        pads = ntuple(padding, 2)
        x = pad_windows(x, (kh, kw), (sh, sw), pads, -np.inf, ceil_mode=ceil_mode)
    h, w = (x.shape[-2] - kh) // sh + 1, (x.shape[-1] - kw) // sw + 1
    x = np.maximum.reduce([x[..., i : i + sh * h : sh, :] for i in range(kh)])
    x = np.maximum.reduce([x[..., j : j + sw * w : sw] for j in range(kw)])
    return x


def max_pool3d(
    x: Array,
    kernel_size: int | tuple[int, ...],
    *,
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
) -> Array:
    """Maximum of each window of x (..., D, H, W): of each plane, then over depth."""
    kd, *k = ntuple(kernel_size, 3)
    sd, *s = ntuple(kernel_size if stride is None else stride, 3)
    pd, *p = ntuple(padding, 3)
    x = max_pool2d(x, tuple(k), stride=tuple(s), padding=tuple(p), ceil_mode=ceil_mode)
    *lead, d, h, w = x.shape
    x = x.reshape(*lead, d, h * w)
    x = max_pool2d(x, (kd, 1), stride=(sd, 1), padding=(pd, 0), ceil_mode=ceil_mode)
    return x.reshape(*lead, x.shape[-2], h, w)


def avg_pool1d(
    x: Array,
    kernel_size: int | tuple[int, ...],
    *,
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """Mean of each window of x (..., L)."""
    (k,) = ntuple(kernel_size, 1)
    (s,) = ntuple(kernel_size if stride is None else stride, 1)
    if padding != 0 or ceil_mode:
        (p,) = ntuple(padding, 1)
        n = x.shape[-1]
        x = pad_windows(x, (k,), (s,), (p,), 0.0, ceil_mode=ceil_mode)
    count = (x.shape[-1] - k) // s + 1
    y: Array = np.add.reduce([x[..., i : i + s * count : s] for i in range(k)])
    if ceil_mode or not count_include_pad:
        y /= window_spans(n, count, k, s, p, count_include_pad)
    else:
        y /= k
    return y


def avg_pool2d(
    x: Array,
    kernel_size: int | tuple[int, ...],
    *,
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Mean of each window of x (..., H, W)."""
    kh, kw = ntuple(kernel_size, 2)
    sh, sw = ntuple(kernel_size if stride is None else stride, 2)
    if padding != 0 or ceil_mode:
        (ph, pw), (rows, columns) = ntuple(padding, 2), x.shape[-2:]
        x = pad_windows(x, (kh, kw), (sh, sw), (ph, pw), 0.0, ceil_mode=ceil_mode)
    h, w = (x.shape[-2] - kh) // sh + 1, (x.shape[-1] - kw) // sw + 1
    x = np.add.reduce([x[..., i : i + sh * h : sh, :] for i in range(kh)])
    x = np.add.reduce([x[..., j : j + sw * w : sw] for j in range(kw)])
    if divisor_override is not None:
        x /= divisor_override
    elif ceil_mode or not count_include_pad:
        x /= window_spans(rows, h, kh, sh, ph, count_include_pad)[:, None]
        x /= window_spans(columns, w, kw, sw, pw, count_include_pad)
    else:
        x /= kh * kw
    return x


def avg_pool3d(
    x: Array,
    kernel_size: int | tuple[int, ...],
    *,
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Mean of each window of x (..., D, H, W): of each plane, then over depth."""
    kd, *k = ntuple(kernel_size, 3)
    sd, *s = ntuple(kernel_size if stride is None else stride, 3)
    pd, *p = ntuple(padding, 3)
    x = avg_pool2d(
        x,
        tuple(k),
        stride=tuple(s),
        padding=tuple(p),
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=None if divisor_override is None else 1,
    )
    *lead, d, h, w = x.shape
    x = avg_pool2d(
        x.reshape(*lead, d, h * w),
        (kd, 1),
        stride=(sd, 1),
        padding=(pd, 0),
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
    )
    return x.reshape(*lead, x.shape[-2], h, w)


def pad_windows(
    x: Array,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    value: float,
    *,
    ceil_mode: bool = False,
) -> Array:
    """Pad the last axes of x so that all windows of a pooling lie inside."""
    pads = [(0, 0)] * (x.ndim - len(kernel))
    sizes = x.shape[-len(kernel) :]
    for n, k, s, p in zip(sizes, kernel, stride, padding, strict=True):
        after = p
        if ceil_mode:  # a last window that starts beyond x and its left padding is out
            last = min(-(-(n + 2 * p - k) // s), (n + p - 1) // s)
            after = max(0, last * s + k - n - p)
        pads.append((p, after))
    return np.pad(x, pads, constant_values=value)


def window_spans(
    n: int, count: int, kernel: int, stride: int, padding: int, include_pad: bool
) -> Array:
    """How many elements each of `count` windows along n elements is a mean of."""
    start = np.arange(count) * stride - padding
    if include_pad:
        return np.minimum(start + kernel, n + padding) - start
    return np.minimum(start + kernel, n) - np.maximum(start, 0)


def max_pool_with_indices(
    x: Array,
    kernel_size: tuple[int, ...],
    *,
    stride: tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    ceil_mode: bool = False,
) -> tuple[Array, Array]:
    """Maxima of windows over the last axes of x, and where each lies in its plane.

    The first of equal maxima wins, and the last NaN, as in torch.
    """
    nd, reach = len(kernel_size), kernel_size
    steps = kernel_size if stride is None else stride
    if dilation != 1:
        gaps = ntuple(dilation, nd)
        reach = tuple(d * (k - 1) + 1 for d, k in zip(gaps, kernel_size, strict=True))
    places = np.arange(math.prod(x.shape[-nd:])).reshape(x.shape[-nd:])
    if padding != 0 or ceil_mode:
        pads = ntuple(padding, nd)
        x = pad_windows(x, reach, steps, pads, -np.inf, ceil_mode=ceil_mode)
        places = pad_windows(places, reach, steps, pads, -1, ceil_mode=ceil_mode)
    sizes = zip(x.shape[-nd:], reach, steps, strict=True)
    count = [(n - r) // s + 1 for n, r, s in sizes]
    best = np.zeros((*x.shape[:-nd], *count), x.dtype)
    index = np.full(best.shape, -1)
    lead = (slice(None),) * (x.ndim - nd)
    for offset in np.ndindex(*kernel_size):
        start = offset
        if dilation != 1:
            start = tuple(o * d for o, d in zip(offset, gaps, strict=True))
        grid = zip(start, steps, count, strict=True)
        spots = tuple(slice(o, o + s * m, s) for o, s, m in grid)
        value, place = x[(*lead, *spots)], places[spots]
        first = (index < 0) & (place >= 0)
        better = (value > best) | (value != value) | first
        best, index = np.where(better, value, best), np.where(better, place, index)
    return best, index


def max_unpool(
    x: Array,
    indices: Array,
    kernel_size: tuple[int, ...],
    *,
    stride: tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    output_size: tuple[int, ...] | None = None,
) -> Array:
    """Zeros with the values of x at their flat `indices` in each plane."""
    nd = len(kernel_size)
    if output_size is None:
        steps = kernel_size if stride is None else stride
        sizes = zip(x.shape[-nd:], steps, ntuple(padding, nd), kernel_size, strict=True)
        output_size = tuple((n - 1) * s - 2 * p + k for n, s, p, k in sizes)
    lead, points = x.shape[:-nd], math.prod(x.shape[-nd:])
    y = np.zeros((*lead, math.prod(output_size)), x.dtype)
    at = indices.reshape(*lead, points)
    np.put_along_axis(y, at, x.reshape(*lead, points), axis=-1)
    return y.reshape(*lead, *output_size)
