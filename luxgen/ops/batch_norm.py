"""Normalisation per channel over the batch, and the layers with running statistics."""

import math
from typing import Any, NamedTuple

import numpy as np

from luxgen.ops.norm import instance_norm
from luxgen.ops.types import Array


class BatchNormState(NamedTuple):
    running_mean: Array
    running_var: Array
    num_batches_tracked: Array
    training: bool = True


def batch_norm_layer(
    x: Array,
    ps: tuple[Array, Array],
    st: BatchNormState,
    *,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, BatchNormState]:
    """nn.BatchNorm of x (N, C, ...); running_var uses the unbiased variance."""
    mean, var = st.running_mean, st.running_var
    if st.training:
        tracked = np.asarray(st.num_batches_tracked + 1)
        if x.size == 0:
            return x, st._replace(num_batches_tracked=tracked)
        mean, var, n = batch_statistics(x)
        if momentum is None:  # the mean over all batches
            momentum = 1 / int(tracked)
        st = BatchNormState(
            (1 - momentum) * st.running_mean + momentum * mean,
            (1 - momentum) * st.running_var + momentum * n / (n - 1) * var,
            tracked,
        )
    return batch_norm(x, mean, var, weight=ps[0], bias=ps[1], eps=eps), st


def batch_norm_plain(
    x: Array,
    st: BatchNormState,
    *,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, BatchNormState]:
    """nn.BatchNorm with affine=False."""
    one = np.ones_like(st.running_var)
    return batch_norm_layer(x, (one, 0 * one), st, momentum=momentum, eps=eps)


def batch_norm_scale(
    x: Array,
    ps: tuple[Array],
    st: BatchNormState,
    *,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, BatchNormState]:
    """nn.BatchNorm with bias=False."""
    affine = (ps[0], np.zeros_like(ps[0]))
    return batch_norm_layer(x, affine, st, momentum=momentum, eps=eps)


def instance_norm_layer(
    x: Array,
    ps: Any,
    st: BatchNormState,
    *,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, BatchNormState]:
    """nn.InstanceNorm of x (N, C, ...) that tracks statistics: means over the batch."""
    if st.training:
        rows = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
        y = instance_norm(x, eps=eps) if ps is None else instance_norm(x, *ps, eps=eps)
        mean = rows.mean(axis=2).mean(axis=0)
        var = rows.var(axis=2, ddof=1).mean(axis=0)
        return y, st._replace(
            running_mean=(1 - momentum) * st.running_mean + momentum * mean,
            running_var=(1 - momentum) * st.running_var + momentum * var,
        )
    if ps is None:
        return batch_norm(x, st.running_mean, st.running_var, eps=eps), st
    return batch_norm(x, st.running_mean, st.running_var, *ps, eps=eps), st


def instance_norm_unbatched(
    x: Array,
    ps: Any,
    st: BatchNormState,
    *,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, BatchNormState]:
    """instance_norm_layer of x (C, ...): a batch of one."""
    y, st = instance_norm_layer(x[None], ps, st, momentum=momentum, eps=eps)
    return y[0], st


def instance_norm_update(
    x: Array, running_mean: Array, running_var: Array, *, momentum: float = 0.1
) -> tuple[Array, Array]:
    """The running statistics after F.instance_norm(x, ...): means over the batch."""
    rows = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
    mean = rows.mean(axis=2).mean(axis=0)
    var = rows.var(axis=2, ddof=1).mean(axis=0)
    running_mean = (1 - momentum) * running_mean + momentum * mean
    return running_mean, (1 - momentum) * running_var + momentum * var


def batch_norm(
    x: Array,
    running_mean: Array,
    running_var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float = 1e-5,
) -> Array:
    """Normalise x (N, C, ...) per channel by the statistics given."""
    scale = 1 / np.sqrt(running_var + eps)
    if weight is not None:
        scale *= weight
    shift = -running_mean * scale
    if bias is not None:
        shift += bias
    shape = (-1, *(1,) * (x.ndim - 2))
    y: Array = x * scale.reshape(shape)
    y += shift.reshape(shape)
    return y


def batch_norm_training(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float = 1e-5,
) -> Array:
    """Normalise x (N, C, ...) per channel by its own statistics."""
    mean, var, _ = batch_statistics(x)
    return batch_norm(x, mean, var, weight, bias, eps=eps)


def batch_statistics(x: Array) -> tuple[Array, Array, int]:
    """Mean and biased variance per channel of x (N, C, ...), and of how many values."""
    rows = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)  # contiguous: pairwise sums
    n = rows.shape[1]
    if n == 1:
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"{x.shape}"
        )
    return rows.mean(axis=1), rows.var(axis=1), n


def batch_norm_update(
    x: Array, running_mean: Array, running_var: Array, *, momentum: float = 0.1
) -> tuple[Array, Array]:
    """The running statistics after F.batch_norm(x, ..., training=True)."""
    mean, var, n = batch_statistics(x)
    running_mean = (1 - momentum) * running_mean + momentum * mean
    running_var = (1 - momentum) * running_var + momentum * n / (n - 1) * var
    return running_mean, running_var
