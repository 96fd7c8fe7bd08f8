"""Transposed convolution: the adjoint of a convolution in its input."""

import math

import numpy as np

from luxgen.ops.conv import ntuple
from luxgen.ops.fold import overlap_add
from luxgen.ops.types import Array


def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    groups: int = 1,
    dilation: int | tuple[int, ...] = 1,
) -> Array:
    """Spread x (N, C, *size) by weight (C, O / groups, *kernel) to (N, O, *out)."""
    n, c, *count = x.shape
    nd, kernel, outs = len(count), weight.shape[2:], weight.shape[1] * groups
    planes: Array = x.reshape(n, c, math.prod(count))
    rows: Array = weight.reshape(c, -1).T
    if groups != 1:
        planes = x.reshape(n, groups, c // groups, math.prod(count))
        rows = weight.reshape(groups, c // groups, -1).swapaxes(1, 2)
    steps, reach = ntuple(stride, nd), kernel
    if dilation != 1:
        gaps = ntuple(dilation, nd)
        reach = tuple(d * (k - 1) + 1 for d, k in zip(gaps, kernel, strict=True))
    sizes = zip(count, steps, reach, strict=True)
    size = tuple((m - 1) * s + r for m, s, r in sizes)
    if output_padding != 0:
        extra = ntuple(output_padding, nd)
        size = tuple(m + e for m, e in zip(size, extra, strict=True))
    y = np.empty((n, outs, *size), x.dtype)
    step = 1 + 2**18 // (rows[..., 0].size * math.prod(count) + 1)  # bounds `windows`
    for i in range(0, n, step):
        windows = (rows @ planes[i : i + step]).reshape(-1, outs, *kernel, *count)
        y[i : i + step] = overlap_add(windows, size, steps, dilation=dilation)
    if padding != 0:
        pads = zip(ntuple(padding, nd), size, strict=True)
        y = y[(slice(None), slice(None), *(slice(p, m - p) for p, m in pads))]
    return y if bias is None else y + bias.reshape(-1, *[1] * nd)
