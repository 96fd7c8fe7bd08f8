"""Losses with their gradients: where the backward pass of training starts.

All are means, with the defaults of torch.nn.functional; `target` has no gradient.
"""

import numpy as np

from luxgen.ops.activation import sigmoid
from luxgen.ops.softmax import log_softmax
from luxgen.ops.types import Array


def cross_entropy_and_gradient(
    y: Array, target: Array, *, dim: int = 1
) -> tuple[Array, Array]:
    """Mean cross entropy of the logits y (N, C, ...), and its gradient by y.

    target: classes (N, ...), -100 for none, or probabilities (N, C, ...).
    """
    dim = min(dim, y.ndim - 1)  # one sample is (C,)
    log_p = log_softmax(y, dim)
    if target.shape == y.shape:
        p = target.astype(y.dtype, copy=False)
        n = y.size // max(y.shape[dim], 1)
        loss, d_log_p = mean_and_gradient(y, -p * log_p, -p, n)
    else:
        loss, d_log_p = nll_and_gradient(log_p, target, dim=dim)
    return loss, d_log_p - np.exp(log_p) * d_log_p.sum(axis=dim, keepdims=True)


def nll_and_gradient(y: Array, target: Array, *, dim: int = 1) -> tuple[Array, Array]:
    """Mean of -y (N, C, ...) at the classes target (N, ...), and its gradient by y.

    A target of -100 is left out.
    """
    dim = min(dim, y.ndim - 1)  # one sample is (C,)
    kept, index = class_index(target, y, dim)
    at_class = np.zeros_like(y)
    np.put_along_axis(at_class, index, kept, dim)
    loss = np.where(kept, -np.take_along_axis(y, index, dim), 0)
    return mean_and_gradient(y, loss, -at_class, int(kept.sum()))


def mse_and_gradient(y: Array, target: Array) -> tuple[Array, Array]:
    diff = y - same_shape(target, y)
    return mean_and_gradient(y, np.square(diff), 2 * diff, y.size)


def l1_and_gradient(y: Array, target: Array) -> tuple[Array, Array]:
    diff = y - same_shape(target, y)
    return mean_and_gradient(y, np.abs(diff), np.sign(diff), y.size)


def smooth_l1_and_gradient(y: Array, target: Array) -> tuple[Array, Array]:
    """Quadratic where y is within 1 of target, then linear of slope 1."""
    diff = y - same_shape(target, y)
    slope = np.clip(diff, -1, 1)
    return mean_and_gradient(y, slope * (diff - 0.5 * slope), slope, y.size)


def huber_and_gradient(y: Array, target: Array) -> tuple[Array, Array]:
    """smooth_l1, as torch's defaults have it: delta is 1."""
    return smooth_l1_and_gradient(y, target)


def bce_with_logits_and_gradient(y: Array, target: Array) -> tuple[Array, Array]:
    """Mean binary cross entropy of the logits y and probabilities target."""
    target = same_shape(target, y)
    log_q = np.log1p(np.exp(-np.abs(y))) + np.maximum(-y, 0)  # -log(sigmoid(y))
    loss = (1 - target) * y + log_q
    return mean_and_gradient(y, loss, sigmoid(y) - target, y.size)


def mean_and_gradient(
    y: Array, loss: Array, slope: Array, n: int
) -> tuple[Array, Array]:
    """Sum of loss, and slope, over n in the dtype of y; NaN where n is 0, as torch."""
    mean: Array = y.dtype.type(loss.sum() / n if n else np.nan)
    return mean, np.asarray(slope / max(n, 1), y.dtype)


def same_shape(target: Array, y: Array) -> Array:
    """target in the dtype of y. torch warns of another shape, and broadcasts."""
    if target.shape != y.shape:
        raise ValueError(f"target must have shape {y.shape}, not {target.shape}")
    return target.astype(y.dtype, copy=False)


def class_index(target: Array, y: Array, dim: int) -> tuple[Array, Array]:
    """Where target isn't -100, and its indices into y along dim, 0 where it is."""
    shape = [*y.shape]
    classes = shape.pop(dim)
    if [*target.shape] != shape or target.dtype.kind not in "iu":
        found = f"{target.dtype} {target.shape}"
        raise ValueError(f"target must be integers {tuple(shape)}, not {found}")
    target = np.expand_dims(target, dim)
    kept = target != -100
    index = np.where(kept, target, 0)
    if np.any((index < 0) | (index >= classes)):
        raise ValueError(f"target has classes outside 0 ... {classes - 1}")
    return kept, index
