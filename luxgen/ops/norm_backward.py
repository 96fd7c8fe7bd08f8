"""Backward passes of normalisations within a sample, from the cotangent d."""

import math

import numpy as np

from luxgen.ops.norm import norm_except_dim
from luxgen.ops.types import Array


def standardised(x: Array, *, eps: float = 1e-5) -> tuple[Array, Array]:
    """x of mean 0 and variance 1 along the last axis, and what it was scaled by."""
    y: Array = x - x.mean(axis=-1, keepdims=True)
    var = np.einsum("...i,...i->...", y, y)[..., None] / max(x.shape[-1], 1)
    rstd = 1 / np.sqrt(var + eps)
    y *= rstd
    return y, rstd


def standardised_backward(d: Array, y: Array, rstd: Array) -> Array:
    """Uses up y."""
    along = np.einsum("...i,...i->...", d, y)[..., None] / max(y.shape[-1], 1)
    d_x: Array = d - d.mean(axis=-1, keepdims=True)
    y *= along
    d_x -= y
    d_x *= rstd
    return d_x


def layer_norm_backward(d: Array, x: Array, *, eps: float = 1e-5) -> Array:
    """Without weights."""
    y, rstd = standardised(x, eps=eps)
    return standardised_backward(d, y, rstd)


def layer_norm_affine_backward(
    d: Array, x: Array, weight: Array, *, eps: float = 1e-5
) -> tuple[Array, Array]:
    """The cotangents of x and weight."""
    y, rstd = standardised(x, eps=eps)
    n = x.shape[-1]
    d_weight = np.einsum("ri,ri->i", d.reshape(-1, n), y.reshape(-1, n))
    return standardised_backward(d * weight, y, rstd), d_weight


def layer_norm_over_backward(
    d: Array, x: Array, *, dims: int, eps: float = 1e-5
) -> Array:
    """layer_norm_backward over the last `dims` axes."""
    shape = (*x.shape[:-dims], math.prod(x.shape[-dims:]))
    d_rows = layer_norm_backward(d.reshape(shape), x.reshape(shape), eps=eps)
    return d_rows.reshape(x.shape)


def layer_norm_affine_over_backward(
    d: Array, x: Array, weight: Array, *, dims: int, eps: float = 1e-5
) -> tuple[Array, Array]:
    """layer_norm_affine_backward over the last `dims` axes."""
    shape = (*x.shape[:-dims], weight.size)
    rows, d_rows = x.reshape(shape), d.reshape(shape)
    d_x, d_weight = layer_norm_affine_backward(d_rows, rows, weight.ravel(), eps=eps)
    return d_x.reshape(x.shape), d_weight.reshape(weight.shape)


def rms_norm_backward(
    d: Array, x: Array, *, dims: int = 1, eps: float | None = None
) -> Array:
    """Without weights, over the last `dims` axes."""
    if eps is None:
        eps = float(np.finfo(x.dtype).eps)
    axes = -1 if dims == 1 else tuple(range(-dims, 0))
    scale = 1 / np.sqrt(np.square(x).mean(axis=axes, keepdims=True) + eps)
    y = x * scale
    d_x: Array = d - y * (d * y).mean(axis=axes, keepdims=True)
    d_x *= scale
    return d_x


def group_norm_backward(
    d: Array,
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    *,
    eps: float = 1e-5,
) -> tuple[Array, Array, Array]:
    """The cotangents of x (N, C, ...), weight and bias."""
    groups = (x.shape[0], num_groups, math.prod(x.shape[1:]) // num_groups)
    channels = (*x.shape[:2], math.prod(x.shape[2:]))
    y, rstd = standardised(x.reshape(groups), eps=eps)
    d = d.reshape(channels)
    d_weight = np.einsum("nci,nci->nc", d, y.reshape(channels)).sum(axis=0)
    d_bias = d.sum(axis=2).sum(axis=0)
    if weight is not None:
        d = d * weight[:, None]
    d_x = standardised_backward(d.reshape(groups), y, rstd)
    return d_x.reshape(x.shape), d_weight, d_bias


def group_statistics_backward(
    d_mean: Array, d_rstd: Array, x: Array, mean: Array, rstd: Array
) -> Array:
    """Of x (N, C, ...), by the means and reciprocal deviations (N, num_groups)."""
    n = math.prod(x.shape[1:]) // mean.shape[1]
    centred = x.reshape(*mean.shape, n) - mean[..., None]
    slope = d_rstd * rstd**3
    d_x: Array = (d_mean[..., None] - slope[..., None] * centred) / n
    return d_x.reshape(x.shape)


def local_response_norm_backward(
    d: Array,
    x: Array,
    *,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
) -> Array:
    before, after = size // 2, (size - 1) // 2
    base = alpha * neighbour_means(np.square(x), before, after) + k
    scale = base**-beta
    d_base = -beta * d * x * scale / base
    return d * scale + 2 * alpha * x * neighbour_means(d_base, after, before)


def neighbour_means(x: Array, before: int, after: int) -> Array:
    """Means over neighbouring channels (axis 1), with zeros beyond the ends."""
    pad = ((0, 0), (before, after), *((0, 0),) * (x.ndim - 2))
    size = before + after + 1
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, pad), size, axis=1)
    means: Array = windows.mean(axis=-1)
    return means


def weight_norm_backward(
    d: Array, v: Array, g: Array, *, dim: int = 0
) -> tuple[Array, Array]:
    """The cotangents of the direction v and of the lengths g."""
    size = norm_except_dim(v, dim=dim)
    axes = None if dim == -1 else tuple(k for k in range(v.ndim) if k != dim)
    unit = v / size
    d_g = (d * unit).sum(axis=axes, keepdims=True)
    return g / size * (d - d_g * unit), d_g.reshape(g.shape)


def norm_except_dim_backward(
    d: Array, v: Array, *, pow: int = 2, dim: int = 0
) -> Array:
    size = norm_except_dim(v, pow=pow, dim=dim)
    axes = None if dim == -1 else tuple(k for k in range(v.ndim) if k != dim)
    return p_norm_backward(d, v, size, p=pow, axis=axes)


def normalize_backward(
    d: Array,
    x: Array,
    *,
    p: float = 2.0,
    dim: int | tuple[int, ...] = 1,
    eps: float = 1e-12,
) -> Array:
    """Several axes only for p = 2."""
    if p == 2:
        size = np.sqrt(np.square(x).sum(axis=dim, keepdims=True))
    else:
        size = np.linalg.norm(x, p, axis=dim, keepdims=True)
    held = np.maximum(size, eps)
    d_held = -(d * (x / held)).sum(axis=dim, keepdims=True) / held
    d_size = np.where(size >= eps, d_held, 0)
    d_x: Array = d / held + p_norm_backward(d_size, x, size, p=p, axis=dim)
    return d_x


def p_norm_backward(
    d: Array,
    x: Array,
    size: Array,
    *,
    p: float = 2.0,
    axis: int | tuple[int, ...] | None = -1,
) -> Array:
    """Through size, the p-norm of x along axis; d and size keep that axis."""
    if p == 0:
        return np.zeros_like(x)
    if p == 1:
        d_x: Array = d * np.sign(x)
        return d_x
    safe = np.where(size == 0, np.ones_like(size), size)
    if p == 2:
        d_x = d / safe * x
        return d_x
    if p == math.inf:
        top = np.abs(x) == size
        ties = top.sum(axis=axis, keepdims=True, dtype=x.dtype)
        d_x = d * np.sign(x) * (top / ties)
        return d_x
    share = np.abs(x) / safe
    if p < 1:  # 0 has no slope
        share = np.where(x == 0, np.ones_like(share), share)
    d_x = d * np.sign(x) * share ** (p - 1)
    return d_x
