"""Softmax and its logarithmic forms."""

import numpy as np

from luxgen.ops.types import Array


def softmax(x: Array, dim: int) -> Array:
    y: Array = np.exp(x - x.max(axis=dim, keepdims=True, initial=-np.inf))
    y /= y.sum(axis=dim, keepdims=True)
    return y


def safe_softmax(x: Array, dim: int) -> Array:
    """softmax, but zeros where all is -inf."""
    top = x.max(axis=dim, keepdims=True, initial=-np.inf)
    y: Array = np.exp(x - np.where(top == -np.inf, np.zeros_like(top), top))
    total = y.sum(axis=dim, keepdims=True)
    y /= np.where(total == 0, np.ones_like(total), total)
    return y


def log_softmax(x: Array, dim: int) -> Array:
    y: Array = x - x.max(axis=dim, keepdims=True, initial=-np.inf)
    y -= np.log(np.exp(y).sum(axis=dim, keepdims=True))
    return y


def logsumexp(x: Array, dim: int | tuple[int, ...], *, keepdim: bool = False) -> Array:
    """log(sum(exp(x))) over the axes dim; -inf where nothing or only -inf is summed."""
    top = x.max(axis=dim, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, np.zeros_like(top))  # inf - inf is NaN
    with np.errstate(divide="ignore"):  # log(0) = -inf
        y: Array = np.log(np.exp(x - top).sum(axis=dim, keepdims=True)) + top
    if keepdim:
        return y
    return y.squeeze(dim)
