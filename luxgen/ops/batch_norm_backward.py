"""Backward passes of normalisations per channel, and of layers with statistics."""

import math
from typing import Any

import numpy as np

from luxgen.ops.batch_norm import BatchNormState
from luxgen.ops.norm_backward import group_norm_backward
from luxgen.ops.types import Array


def with_state(
    result: tuple[Array, BatchNormState], st: BatchNormState
) -> tuple[tuple[Array, BatchNormState], BatchNormState]:
    """A layer's result with the state it read, which its backward needs."""
    y, new = result
    return (y, st), new


def by_channel(x: Array) -> Array:
    """x (N, C, ...) as (N, C, n), and (N, C) as (1, C, N): sums run along the last."""
    if x.ndim == 2:
        return np.ascontiguousarray(x.T)[None]
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


def of_channels(x: Array, shape: tuple[int, ...]) -> Array:
    """Back from by_channel."""
    return x[0].T if len(shape) == 2 else x.reshape(shape)


def channel_sums(x: Array, y: Array) -> Array:
    """Sums of x * y over all but the channels, of x and y by channel."""
    total: Array = np.einsum("nci,nci->nc", x, y).sum(axis=0)
    return total


def batch_norm_backward(
    d: Array,
    x: Array,
    running_mean: Array,
    running_var: Array,
    weight: Array | None = None,
    *,
    eps: float = 1e-5,
) -> tuple[Array, Array, Array]:
    """The cotangents of x (N, C, ...), weight and bias; the statistics are given."""
    rstd = 1 / np.sqrt(running_var + eps)
    rows = by_channel(d)
    d_bias = rows.sum(axis=2).sum(axis=0)
    d_weight = channel_sums(rows, by_channel(x) - running_mean[:, None]) * rstd
    scale = rstd if weight is None else rstd * weight
    return of_channels(rows * scale[:, None], x.shape), d_weight, d_bias


def batch_norm_training_backward(
    d: Array, x: Array, weight: Array | None = None, *, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """The cotangents of x (N, C, ...), weight and bias, through x's own statistics."""
    y, rows = by_channel(x), by_channel(d)
    n = max(y.shape[0] * y.shape[2], 1)
    y = y - (y.sum(axis=2).sum(axis=0) / n)[:, None]
    rstd = 1 / np.sqrt(channel_sums(y, y) / n + eps)
    y *= rstd[:, None]
    d_weight, d_bias = channel_sums(rows, y), rows.sum(axis=2).sum(axis=0)
    d_x = rows - (d_bias / n)[:, None]
    y *= (d_weight / n)[:, None]
    d_x -= y
    d_x *= (rstd if weight is None else rstd * weight)[:, None]
    return of_channels(d_x, x.shape), d_weight, d_bias


def instance_norm_backward(
    d: Array, x: Array, weight: Array | None = None, *, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """The cotangents of x (N, C, ...), weight and bias."""
    return group_norm_backward(d, x, x.shape[1], weight, eps=eps)


def batch_norm_layer_backward(
    d: Array, x: Array, ps: tuple[Array, ...], st: BatchNormState, *, eps: float = 1e-5
) -> tuple[Array, tuple[Array, ...]]:
    """The cotangents of x and of ps: weight, and bias where there is one."""
    if st.training:
        if x.size == 0:
            return d, tuple(np.zeros_like(leaf) for leaf in ps)
        d_x, *d_ps = batch_norm_training_backward(d, x, ps[0], eps=eps)
    else:
        mean, var = st.running_mean, st.running_var
        d_x, *d_ps = batch_norm_backward(d, x, mean, var, ps[0], eps=eps)
    return d_x, tuple(d_ps[: len(ps)])


def batch_norm_plain_backward(
    d: Array, x: Array, st: BatchNormState, *, eps: float = 1e-5
) -> Array:
    """Of nn.BatchNorm with affine=False."""
    weight = (np.ones_like(st.running_var),)
    return batch_norm_layer_backward(d, x, weight, st, eps=eps)[0]


def instance_norm_layer_backward(
    d: Array, x: Array, ps: Any, st: BatchNormState, *, eps: float = 1e-5
) -> tuple[Array, tuple[Array, Array]]:
    """The cotangents of x and of ps: weight and bias, whatever it holds."""
    weight = None if ps is None else ps[0]
    if st.training:
        d_x, d_weight, d_bias = instance_norm_backward(d, x, weight, eps=eps)
    else:
        mean, var = st.running_mean, st.running_var
        d_x, d_weight, d_bias = batch_norm_backward(d, x, mean, var, weight, eps=eps)
    return d_x, (d_weight, d_bias)


def instance_norm_unbatched_backward(
    d: Array, x: Array, ps: Any, st: BatchNormState, *, eps: float = 1e-5
) -> tuple[Array, tuple[Array, Array]]:
    """instance_norm_layer_backward of x (C, ...): a batch of one."""
    d_x, d_ps = instance_norm_layer_backward(d[None], x[None], ps, st, eps=eps)
    return d_x[0], d_ps
