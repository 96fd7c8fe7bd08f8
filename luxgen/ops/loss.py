"""Losses between numbers: regression, likelihoods and divergences, margins."""

import math

import numpy as np

from luxgen.ops.special import xlogy
from luxgen.ops.types import Array


def reduced(loss: Array, *, reduction: str = "mean") -> Array:
    """Average, sum or keep the entries of loss."""
    if reduction == "mean":
        mean: Array = loss.mean()
        return mean
    if reduction == "sum":
        total: Array = loss.sum()
        return total
    return loss


def weighted(loss: Array, weight: Array, *, reduction: str = "mean") -> Array:
    """Reduce loss * weight; the mean divides by the sum of the weights."""
    if reduction == "mean":
        mean: Array = (loss * weight).sum() / weight.sum()
        return mean
    return reduced(loss * weight, reduction=reduction)


def mse_loss(
    x: Array, target: Array, weight: Array | None = None, *, reduction: str = "mean"
) -> Array:
    loss = np.square(x - target)
    if weight is not None:
        return weighted(loss, weight, reduction=reduction)
    return reduced(loss, reduction=reduction)


def l1_loss(
    x: Array, target: Array, weight: Array | None = None, *, reduction: str = "mean"
) -> Array:
    loss = np.abs(x - target)
    if weight is not None:
        return weighted(loss, weight, reduction=reduction)
    return reduced(loss, reduction=reduction)


def smooth_l1_loss(
    x: Array, target: Array, *, reduction: str = "mean", beta: float = 1.0
) -> Array:
    """Quadratic below beta, then linear of slope 1; beta = 0 is l1_loss."""
    loss = np.abs(x - target)
    if beta != 0:
        m = np.clip(loss, 0, beta)
        loss = m * (loss - 0.5 * m) / beta
    return reduced(loss, reduction=reduction)


def huber_loss(
    x: Array,
    target: Array,
    weight: Array | None = None,
    *,
    reduction: str = "mean",
    delta: float = 1.0,
) -> Array:
    """Quadratic below delta, then linear of slope delta."""
    size = np.abs(x - target)
    m = np.clip(size, 0, delta)
    loss = m * (size - 0.5 * m)
    if weight is not None:
        loss = loss * weight
    return reduced(loss, reduction=reduction)


def binary_cross_entropy(
    x: Array, target: Array, weight: Array | None = None, *, reduction: str = "mean"
) -> Array:
    """Of probabilities x; logarithms are held above -100, as torch does."""
    with np.errstate(divide="ignore"):  # log(0) = -inf becomes -100
        log_p, log_q = np.log(x), np.log1p(-x)
    loss = (target - 1) * np.maximum(log_q, -100) - target * np.maximum(log_p, -100)
    if weight is not None:
        loss = loss * weight
    return reduced(loss, reduction=reduction)


def binary_cross_entropy_with_logits(
    x: Array,
    target: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    *,
    reduction: str = "mean",
) -> Array:
    log_q = np.log1p(np.exp(-np.abs(x))) + np.maximum(-x, 0)  # -log(sigmoid(x))
    if pos_weight is not None:
        log_q = log_q * (1 + (pos_weight - 1) * target)
    loss = (1 - target) * x + log_q
    if weight is not None:
        loss = loss * weight
    return reduced(loss, reduction=reduction)


def kl_div(
    x: Array, target: Array, *, reduction: str = "mean", log_target: bool = False
) -> Array:
    """Divergence of log-probabilities x from target; "batchmean" sums a sample."""
    if log_target:
        loss = np.exp(target) * (target - x)
    else:
        loss = xlogy(target, target) - target * x
    if reduction == "batchmean":
        total: Array = loss.sum() / loss.dtype.type(len(x) if x.ndim else 1)
        return total
    return reduced(loss, reduction=reduction)


def poisson_nll_loss(
    x: Array,
    target: Array,
    *,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Array:
    """Of rates x, or their logarithms; `full` adds Stirling's term where target > 1."""
    loss = np.exp(x) - target * x if log_input else x - target * np.log(x + eps)
    if full:
        t = np.maximum(target, 1)
        term = t * np.log(t) - t + 0.5 * np.log(2 * math.pi * t)
        loss = loss + term * (target > 1)
    return reduced(loss, reduction=reduction)


def gaussian_nll_loss(
    x: Array,
    target: Array,
    var: Array,
    *,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Array:
    """Of means x and variances var (at least eps), one per entry or per row."""
    if np.any(var < 0):
        raise ValueError("var has negative entry/entries")
    if var.shape != x.shape and var.shape == x.shape[:-1]:
        var = var[..., None]
    var = np.maximum(var, eps)
    loss = 0.5 * (np.log(var) + np.square(x - target) / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction=reduction)


def soft_margin_loss(x: Array, target: Array, *, reduction: str = "mean") -> Array:
    """log(1 + exp(-target * x)) for targets 1 and -1."""
    z = target * x
    loss = np.log1p(np.exp(-np.abs(z))) + np.maximum(-z, 0)
    return reduced(loss, reduction=reduction)


def hinge_embedding_loss(
    x: Array, target: Array, *, margin: float = 1.0, reduction: str = "mean"
) -> Array:
    """x where target is 1, max(0, margin - x) where it is -1 (else both)."""
    loss = x * (target != -1) + np.maximum(margin - x, 0) * (target != 1)
    return reduced(loss, reduction=reduction)


def margin_ranking_loss(
    input1: Array,
    input2: Array,
    target: Array,
    *,
    margin: float = 0.0,
    reduction: str = "mean",
) -> Array:
    loss = np.maximum(-target * (input1 - input2) + margin, 0)
    return reduced(loss, reduction=reduction)


def cosine_embedding_loss(
    input1: Array,
    input2: Array,
    target: Array,
    *,
    margin: float = 0.0,
    reduction: str = "mean",
) -> Array:
    """1 - cos where target is 1, max(0, cos - margin) where it is -1."""
    square1 = np.square(input1).sum(axis=-1) + 1e-12
    square2 = np.square(input2).sum(axis=-1) + 1e-12
    cos = (input1 * input2).sum(axis=-1) / np.sqrt(square1 * square2)
    loss = (1 - cos) * (target == 1) + np.maximum(cos - margin, 0) * (target == -1)
    return reduced(loss, reduction=reduction)
