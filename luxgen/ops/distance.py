"""Similarities and distances of vectors, and losses of distances."""

import numpy as np

from luxgen.ops.loss import reduced
from luxgen.ops.types import Array


def cosine_similarity(
    x1: Array, x2: Array, *, dim: int = 1, eps: float = 1e-8
) -> Array:
    """Along dim; each length is at least eps."""
    x1, x2 = np.broadcast_arrays(x1, x2)
    size1 = np.linalg.norm(x1, axis=dim, keepdims=True)
    size2 = np.linalg.norm(x2, axis=dim, keepdims=True)
    y: Array = (x1 / np.maximum(size1, eps)) * (x2 / np.maximum(size2, eps))
    y = y.sum(axis=dim)
    return y


def pairwise_distance(
    x1: Array, x2: Array, *, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Array:
    """p-norm of x1 - x2 + eps along the last axis."""
    y: Array = np.linalg.norm(x1 - x2 + eps, p, axis=-1, keepdims=keepdim)
    return y


def cdist(x1: Array, x2: Array, *, p: float = 2.0) -> Array:
    """p-distances of the rows of x1 (..., P, M) and x2 (..., R, M): (..., P, R)."""
    shape = np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    y = np.empty((*shape, x1.shape[-2], x2.shape[-2]), x1.dtype)
    for row in range(x1.shape[-2]):  # one row at a time: x2's memory, not P times it
        y[..., row, :] = np.linalg.norm(x1[..., row, None, :] - x2, p, axis=-1)
    return y


def cdist_euclid(x1: Array, x2: Array) -> Array:
    """cdist for p = 2 by a matrix product, as torch does for more than 25 rows."""
    square1 = np.square(x1).sum(axis=-1)[..., :, None]
    square2 = np.square(x2).sum(axis=-1)[..., None, :]
    y: Array = square1 + square2 - 2 * (x1 @ np.swapaxes(x2, -1, -2))
    y = np.sqrt(np.maximum(y, 0))
    return y


def pdist(x: Array, *, p: float = 2.0) -> Array:
    """p-distances between the rows i < j of x (N, M), in order of (i, j)."""
    n = len(x)
    y = np.empty(n * (n - 1) // 2, x.dtype)
    for i in range(n - 1):
        rest = y[i * (2 * n - i - 1) // 2 :][: n - 1 - i]
        rest[:] = np.linalg.norm(x[i] - x[i + 1 :], p, axis=-1)
    return y


def triplet_margin_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d the p-distance."""
    far = pairwise_distance(anchor, negative, p=p, eps=eps)
    if swap:
        far = np.minimum(far, pairwise_distance(positive, negative, p=p, eps=eps))
    near = pairwise_distance(anchor, positive, p=p, eps=eps)
    return reduced(np.maximum(near - far + margin, 0), reduction=reduction)
