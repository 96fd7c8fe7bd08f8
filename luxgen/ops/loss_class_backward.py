"""Backward passes of losses of class scores, from the cotangent d of the loss."""

import numpy as np

from luxgen.ops.softmax import softmax
from luxgen.ops.types import Array


def nll_loss_backward(
    d: Array,
    x: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    """Of log-probabilities x (N, C, ...) for the classes target (N, ...)."""
    kept = target != ignore_index
    index = np.where(kept, target, 0)
    share = kept.astype(x.dtype) if weight is None else weight[index] * kept
    if reduction == "mean":
        d = d / (share.sum() or 1)  # 1: all are ignored
    d_x = np.zeros_like(x)
    np.put_along_axis(d_x, index[:, None], -(share * d)[:, None], axis=1)
    return d_x


def cross_entropy_backward(
    d: Array,
    x: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Of logits x (N, C, ...) for the classes target (N, ...)."""
    if label_smoothing == 0:
        d_log_p = nll_loss_backward(
            d, x, target, weight, ignore_index=ignore_index, reduction=reduction
        )
    else:
        if weight is None:
            weight = np.ones(x.shape[1], x.dtype)
        kept = target != ignore_index
        if reduction == "mean":
            d = d / ((weight[np.where(kept, target, 0)] * kept).sum() or 1)
        d_log_p = (1 - label_smoothing) * nll_loss_backward(
            d, x, target, weight, ignore_index=ignore_index, reduction="sum"
        )
        every = weight.reshape(-1, *(1,) * (x.ndim - 2)) / x.shape[1]
        d_log_p -= label_smoothing * every * (kept * d)[:, None]
    d_x: Array = softmax(x, 1)
    d_x *= -d_log_p.sum(axis=1, keepdims=True)
    d_x += d_log_p
    return d_x


def multi_margin_loss_backward(
    d: Array,
    x: Array,
    target: Array,
    weight: Array | None = None,
    *,
    p: int = 1,
    margin: float = 1.0,
    reduction: str = "mean",
) -> Array:
    """Of scores x (N, C) for the classes target (N,)."""
    chosen = np.take_along_axis(x, target[:, None], axis=1)
    gaps = margin - chosen + x
    d_x: Array = (gaps > 0).astype(x.dtype)
    if p == 2:
        d_x *= 2 * gaps
    if weight is not None:
        d_x *= weight[target][:, None]
    np.put_along_axis(d_x, target[:, None], 0, axis=1)
    np.put_along_axis(d_x, target[:, None], -d_x.sum(axis=1, keepdims=True), axis=1)
    if reduction == "none":
        d = d[:, None]
    d_x *= d / x.dtype.type(x.size if reduction == "mean" else x.shape[1])
    return d_x


def multilabel_margin_loss_backward(
    d: Array, x: Array, target: Array, *, reduction: str = "mean"
) -> Array:
    """Of scores x (..., C) for the classes that target lists, up to its first -1."""
    listed = np.cumsum(target < 0, axis=-1) == 0
    index = np.where(listed, target, 0)
    own = (index[..., None] == np.arange(x.shape[-1])) & listed[..., None]
    other = ~own.any(axis=-2)
    gaps = 1 - np.take_along_axis(x, index, axis=-1)[..., None] + x[..., None, :]
    violated = (gaps > 0) & listed[..., None] & other[..., None, :]
    above = violated.sum(axis=-2, dtype=x.dtype)
    below = (own * violated.sum(axis=-1, dtype=x.dtype)[..., None]).sum(axis=-2)
    if reduction == "none":
        d = d[..., None]
    d_x: Array = above - below
    d_x *= d / x.dtype.type(x.size if reduction == "mean" else x.shape[-1])
    return d_x


def linear_cross_entropy_backward(
    d_scores: Array, x: Array, weight: Array
) -> tuple[Array, Array]:
    """The cotangents of x (N, F) or (F,) and of weight (C, ..., F)."""
    d_x = np.tensordot(d_scores, weight, weight.ndim - 1)
    if x.ndim == 1:
        return d_x, np.multiply.outer(d_scores, x)
    return d_x, np.tensordot(d_scores, x, (0, 0))
