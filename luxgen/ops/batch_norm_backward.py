"""Backward passes of normalisations per channel, and of layers with statistics."""

import math
from typing import Any

import numpy as np

from luxgen.ops.batch_norm import BatchNormState
from luxgen.ops.norm_backward import group_norm_backward, standardised
from luxgen.ops.types import Array


def with_state(
    result: tuple[Array, BatchNormState], st: BatchNormState
) -> tuple[tuple[Array, BatchNormState], BatchNormState]:
    """A layer's result with the state it read, which its backward needs."""
    y, new = result
    return (y, st), new


def channel_rows(x: Array) -> Array:
    """x (N, C, ...) as contiguous rows of channels (C, n), for pairwise sums."""
    shape = (x.shape[1], x.shape[0] * math.prod(x.shape[2:]))
    return np.moveaxis(x, 1, 0).reshape(shape)


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
    rows = channel_rows(d)
    centred = channel_rows(x) - running_mean[:, None]
    d_weight = np.einsum("ci,ci->c", rows, centred) * rstd
    scale = rstd if weight is None else rstd * weight
    d_x = d * scale.reshape(-1, *(1,) * (x.ndim - 2))
    return d_x, d_weight, rows.sum(axis=1)


def batch_norm_training_backward(
    d: Array, x: Array, weight: Array | None = None, *, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """The cotangents of x (N, C, ...), weight and bias, through x's own statistics."""
    y, rstd = standardised(channel_rows(x), eps=eps)
    rows = channel_rows(d)
    d_weight, d_bias = np.einsum("ci,ci->c", rows, y), rows.sum(axis=1)
    n = max(y.shape[1], 1)
    d_x = rows - (d_bias / n)[:, None]
    y *= (d_weight / n)[:, None]
    d_x -= y
    d_x *= rstd if weight is None else rstd * weight[:, None]
    shape = (x.shape[1], x.shape[0], *x.shape[2:])
    return np.moveaxis(d_x.reshape(shape), 0, 1), d_weight, d_bias


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
