"""Convolutions: windows of the input contracted with the weight by matrix products."""

import math

import numpy as np

from luxgen.ops.types import Array


def ntuple(value: int | tuple[int, ...], n: int) -> tuple[int, ...]:
    """One value per spatial axis."""
    return (value,) * n if isinstance(value, int) else value


def pad_same(x: Array, weight: Array, *, dilation: int | tuple[int, ...] = 1) -> Array:
    """Zeros around x (N, C, *size) for `padding="same"`: an odd one goes to the end."""
    nd = x.ndim - 2
    pads = [(0, 0), (0, 0)]
    for k, d in zip(weight.shape[2:], ntuple(dilation, nd), strict=True):
        total = d * (k - 1)
        pads.append((total // 2, total - total // 2))
    return np.pad(x, pads)


def conv1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
) -> Array:
    """Correlate x (N, C, L) with weight (O, C, k): (N, O, L')."""
    if padding != 0:
        (p,) = ntuple(padding, 1)
        x = np.pad(x, ((0, 0), (0, 0), (p, p)))
    k = weight.shape[2]
    if dilation != 1:
        (d,) = ntuple(dilation, 1)
        reach = d * (k - 1) + 1
        windows = np.lib.stride_tricks.sliding_window_view(x, reach, axis=2)[..., ::d]
    else:
        windows = np.lib.stride_tricks.sliding_window_view(x, k, axis=2)
    if stride != 1:
        (s,) = ntuple(stride, 1)
        windows = windows[:, :, ::s]
    y = correlate(windows, weight)  # from (N, C, L', k)
    return y if bias is None else y + bias[:, None]


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
) -> Array:
    """Correlate x (N, C, H, W) with weight (O, C, kh, kw): (N, O, H', W')."""
    if padding != 0:
        ph, pw = ntuple(padding, 2)
        x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    kh, kw = weight.shape[2:]
    if dilation != 1:
        dh, dw = ntuple(dilation, 2)
        reach = dh * (kh - 1) + 1, dw * (kw - 1) + 1
        windows = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(2, 3))
        windows = windows[..., ::dh, ::dw]
    else:
        windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(2, 3))
    if stride != 1:
        sh, sw = ntuple(stride, 2)
        windows = windows[:, :, ::sh, ::sw]
    y = correlate(windows, weight)  # from (N, C, H', W', kh, kw)
    return y if bias is None else y + bias[:, None, None]


def conv3d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
) -> Array:
    """Correlate x (N, C, D, H, W) with weight (O, C, kd, kh, kw)."""
    if padding != 0:
        pd, ph, pw = ntuple(padding, 3)
        x = np.pad(x, ((0, 0), (0, 0), (pd, pd), (ph, ph), (pw, pw)))
    kd, kh, kw = weight.shape[2:]
    if dilation != 1:
        dd, dh, dw = ntuple(dilation, 3)
        reach = dd * (kd - 1) + 1, dh * (kh - 1) + 1, dw * (kw - 1) + 1
        windows = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(2, 3, 4))
        windows = windows[..., ::dd, ::dh, ::dw]
    else:
        reach = (kd, kh, kw)
        windows = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(2, 3, 4))
    if stride != 1:
        sd, sh, sw = ntuple(stride, 3)
        windows = windows[:, :, ::sd, ::sh, ::sw]
    y = correlate(windows, weight)
    return y if bias is None else y + bias[:, None, None, None]


def correlate(windows: Array, weight: Array) -> Array:
    """Contract windows (N, C, *out, *kernel) with weight (O, C, *kernel)."""
    nd = weight.ndim - 2
    n, size = len(windows), windows.shape[2 : 2 + nd]
    kernel: Array = weight.reshape(len(weight), -1)
    y = np.empty((n, len(weight), math.prod(size)), windows.dtype)
    order = (0, 1, *range(2 + nd, 2 + 2 * nd), *range(2, 2 + nd))
    line = math.prod(size[1:])
    scratch = max(2**17, 2 * weight.size)  # elements of `windows` copied at a time
    rows = 1 + scratch * size[0] // (windows.size + 1)
    for i in range(0, size[0], rows):
        part = windows[:, :, i : i + rows].transpose(order)  # (N, C, *kernel, *out)
        shape = (n, kernel.shape[1], math.prod(part.shape[-nd:]))
        out = y[:, :, i * line : (i + rows) * line]
        np.matmul(kernel, part.reshape(shape), out=out)
    return y.reshape(n, len(weight), *size)
