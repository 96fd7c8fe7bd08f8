"""Normalisation within a sample: layer, RMS, group, instance, local response, L_p."""

import math

import numpy as np

from luxgen.ops.types import Array


def layer_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    dims: int = 1,
    eps: float = 1e-5,
) -> Array:
    """Normalise over the last axis, or the last `dims` ones (biased variance)."""
    axes = -1 if dims == 1 else tuple(range(-dims, 0))
    y: Array = x - x.mean(axis=axes, keepdims=True)
    if dims == 1:
        var = np.einsum("...i,...i->...", y, y)[..., None] / x.shape[-1]
    else:
        var = np.square(y).mean(axis=axes, keepdims=True)
    y /= np.sqrt(var + eps)
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    return y


def rms_norm(
    x: Array,
    weight: Array | None = None,
    *,
    dims: int = 1,
    eps: float | None = None,
) -> Array:
    """Divide by the root mean square over the last axis, or the last `dims` ones."""
    if eps is None:
        eps = float(np.finfo(x.dtype).eps)
    axes = -1 if dims == 1 else tuple(range(-dims, 0))
    y: Array = x / np.sqrt(np.square(x).mean(axis=axes, keepdims=True) + eps)
    if weight is not None:
        y *= weight
    return y


def group_norm(
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float = 1e-5,
) -> Array:
    """Normalise x (N, C, ...) over each of num_groups groups of channels."""
    size = math.prod(x.shape[1:]) // num_groups
    y: Array = layer_norm(x.reshape(x.shape[0], num_groups, size), eps=eps)
    y = y.reshape(x.shape)
    shape = (-1, *(1,) * (x.ndim - 2))
    if weight is not None:
        y *= weight.reshape(shape)
    if bias is not None:
        y += bias.reshape(shape)
    return y


def native_layer_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    dims: int = 1,
    eps: float,
) -> tuple[Array, Array, Array]:
    """layer_norm, the means and the reciprocal standard deviations."""
    axes = tuple(range(-dims, 0))
    mean = x.mean(axis=axes, keepdims=True)
    rstd = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    return layer_norm(x, weight, bias, dims=dims, eps=eps), mean, rstd


def native_group_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    num_groups: int,
    eps: float,
) -> tuple[Array, Array, Array]:
    """group_norm, the means and the reciprocal standard deviations (N, num_groups)."""
    size = math.prod(x.shape[1:]) // num_groups
    rows = x.reshape(x.shape[0], num_groups, size)
    rstd = 1 / np.sqrt(rows.var(axis=2) + eps)
    y = group_norm(x, num_groups, weight, bias, eps=eps)
    return y, rows.mean(axis=2), rstd


def instance_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float = 1e-5,
) -> Array:
    """Normalise each channel of each sample of x (N, C, ...) over its own values."""
    if math.prod(x.shape[2:]) == 1:
        raise ValueError(
            "Expected more than 1 spatial element when training, got input size "
            f"{x.shape}"
        )
    return group_norm(x, x.shape[1], weight, bias, eps=eps)


def local_response_norm(
    x: Array, *, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """Divide by powers of the mean square of `size` neighbouring channels (axis 1)."""
    pad = ((0, 0), (size // 2, (size - 1) // 2), *((0, 0),) * (x.ndim - 2))
    squares = np.pad(np.square(x), pad)
    windows = np.lib.stride_tricks.sliding_window_view(squares, size, axis=1)
    y: Array = x / (windows.mean(axis=-1) * alpha + k) ** beta
    return y


def normalize(x: Array, *, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Array:
    """Divide by the p-norm along dim, or by eps where that is larger."""
    size = np.linalg.norm(x, p, axis=dim, keepdims=True)
    y: Array = x / np.maximum(size, eps)
    return y


def normalize_over(x: Array, *, dim: tuple[int, ...], eps: float = 1e-12) -> Array:
    """Divide by the 2-norm over the axes dim, or by eps where that is larger."""
    size = np.sqrt(np.square(x).sum(axis=dim, keepdims=True))
    y: Array = x / np.maximum(size, eps)
    return y


def norm_except_dim(v: Array, *, pow: int = 2, dim: int = 0) -> Array:
    """p-norm of each slice of v along dim, kept broadcastable; -1: of all of v."""
    if dim == -1:
        return np.asarray(np.linalg.norm(v.reshape(-1), pow))
    axes = tuple(k for k in range(v.ndim) if k != dim)
    rows = np.moveaxis(v, dim, 0).reshape(v.shape[dim], -1)
    return np.expand_dims(np.linalg.norm(rows, pow, axis=1), axes)


def weight_norm(v: Array, g: Array, *, dim: int = 0) -> Array:
    """Weight of direction v and, per slice along dim, of length g."""
    return v * (g / norm_except_dim(v, dim=dim))
