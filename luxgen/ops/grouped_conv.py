"""Grouped and depthwise convolution, without im2col."""

import numpy as np

from luxgen.ops.conv import ntuple
from luxgen.ops.types import Array


def grouped_conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
) -> Array:
    """Correlate groups of x (N, C, *size) with weight (O, C / groups, *kernel).

    A matrix product applies every row of a kernel to the windows of the last axis;
    the rows' results, shifted by their place in the kernel, are then added up.
    """
    (n, c), (outs, part), nd = x.shape[:2], weight.shape[:2], x.ndim - 2
    if padding != 0:
        x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in ntuple(padding, nd))])
    groups, (*height, width) = c // part, weight.shape[2:]
    *down, right = ntuple(stride, nd)
    reach = weight.shape[2:]
    if dilation != 1:
        gaps = ntuple(dilation, nd)
        reach = tuple(d * (k - 1) + 1 for d, k in zip(gaps, reach, strict=True))
    planes = x.reshape(n * groups, part, *x.shape[2:])
    windows = np.lib.stride_tricks.sliding_window_view(planes, reach[-1], axis=-1)
    windows = windows[..., ::right, :]
    if dilation != 1:
        windows = windows[..., :: gaps[-1]]
    windows = np.moveaxis(windows, -1, 2)  # (N * groups, part, kw, *rows, W')
    kernels = weight.reshape(groups, outs // groups, part, *weight.shape[2:])
    kernels = np.moveaxis(kernels, 2, -2).reshape(groups, -1, part * width)
    sizes = zip(x.shape[2:-1], reach[:-1], down, strict=True)
    size = [(rows - r) // s + 1 for rows, r, s in sizes]
    y = np.zeros((n * groups, outs // groups, *size, windows.shape[-1]), x.dtype)
    step = 1 + 2**18 // (windows[:1].size + 1)  # planes at once: bounds the copies
    for i in range(0, n * groups, step):
        some = windows[i : i + step]
        kernel = kernels[np.arange(i, i + len(some)) % groups]
        rows = kernel @ some.reshape(len(some), part * width, -1)
        rows = rows.reshape(len(some), outs // groups, *height, *some.shape[3:])
        for offset in np.ndindex(*height):
            start = offset
            if dilation != 1:
                start = tuple(o * d for o, d in zip(offset, gaps[:-1], strict=True))
            place = zip(start, down, size, strict=True)
            shifted = [slice(o, o + s * m, s) for o, s, m in place]
            y[i : i + step] += rows[(slice(None), slice(None), *offset, *shifted)]
    y = y.reshape(n, outs, *y.shape[2:])
    return y if bias is None else y + bias.reshape(-1, *[1] * nd)
