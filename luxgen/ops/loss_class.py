"""Losses of class scores: cross entropy, negative log-likelihood, class margins."""

import numpy as np

from luxgen.ops.activation import logsigmoid
from luxgen.ops.loss import reduced, weighted
from luxgen.ops.softmax import log_softmax
from luxgen.ops.types import Array


def nll_loss(
    x: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    """-x (N, C, ...) at the classes target (N, ...).

    The mean divides by the sum of the weights of the targets that aren't ignored.
    """
    kept = target != ignore_index
    index = np.where(kept, target, 0)
    loss = np.where(kept, -np.take_along_axis(x, index[:, None], axis=1)[:, 0], 0)
    if weight is not None:
        return weighted(loss, weight[index] * kept, reduction=reduction)
    if reduction == "mean":
        mean: Array = loss.sum() / kept.sum(dtype=x.dtype)
        return mean
    return reduced(loss, reduction=reduction)


def cross_entropy(
    x: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Of logits x (N, C, ...) at the classes target (N, ...)."""
    log_p = log_softmax(x, 1)
    if label_smoothing == 0:
        return nll_loss(
            log_p, target, weight, ignore_index=ignore_index, reduction=reduction
        )
    if weight is None:
        weight = np.ones(x.shape[1], x.dtype)
    kept = target != ignore_index
    index = np.where(kept, target, 0)
    w = weight[index] * kept
    loss = -w * np.take_along_axis(log_p, index[:, None], axis=1)[:, 0]
    uniform = -np.moveaxis(log_p, 1, -1) @ weight * kept / x.shape[1]
    loss = (1 - label_smoothing) * loss + label_smoothing * uniform
    if reduction == "mean":
        mean: Array = loss.sum() / w.sum()
        return mean
    return reduced(loss, reduction=reduction)


def cross_entropy_soft(
    x: Array,
    target: Array,
    weight: Array | None = None,
    *,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Cross entropy of logits x (N, C, ...) and class probabilities target."""
    if label_smoothing != 0:
        target = target * (1 - label_smoothing) + label_smoothing / x.shape[1]
    terms = -log_softmax(x, 1) * target
    if weight is not None:
        terms = terms * weight.reshape(-1, *(1,) * (x.ndim - 2))
    return reduced(terms.sum(axis=1), reduction=reduction)


def multi_margin_loss(
    x: Array,
    target: Array,
    weight: Array | None = None,
    *,
    p: int = 1,
    margin: float = 1.0,
    reduction: str = "mean",
) -> Array:
    """Mean over the other classes of max(0, margin - x[target] + x)^p."""
    chosen = np.take_along_axis(x, target[:, None], axis=1)
    loss = np.maximum(margin - chosen + x, 0) ** p
    if weight is not None:
        loss = loss * weight[target][:, None]
    np.put_along_axis(loss, target[:, None], 0, axis=1)
    return reduced(loss.sum(axis=1) / x.shape[1], reduction=reduction)


def multilabel_margin_loss(
    x: Array, target: Array, *, reduction: str = "mean"
) -> Array:
    """Margins of the classes that target lists, up to its first -1, to the others."""
    listed = np.cumsum(target < 0, axis=-1) == 0
    index = np.where(listed, target, 0)
    chosen = np.zeros((*x.shape[:-1], x.shape[-1] + 1), bool)
    np.put_along_axis(chosen, np.where(listed, target, x.shape[-1]), True, axis=-1)
    other = ~chosen[..., :-1]
    own = np.take_along_axis(x, index, axis=-1)
    gaps = np.maximum(1 - own[..., :, None] + x[..., None, :], 0)
    gaps = gaps * (listed[..., :, None] & other[..., None, :])
    loss = gaps.sum(axis=(-2, -1)) / x.dtype.type(x.shape[-1])
    return reduced(loss, reduction=reduction)


def multilabel_soft_margin_loss(
    x: Array, target: Array, weight: Array | None = None, *, reduction: str = "mean"
) -> Array:
    """Binary cross entropy of logits x, averaged over the classes (last axis)."""
    loss = -(target * logsigmoid(x) + (1 - target) * logsigmoid(-x))
    if weight is not None:
        loss = loss * weight
    return reduced(loss.mean(axis=-1), reduction=reduction)
