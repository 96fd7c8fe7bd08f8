"""Backward passes of distances and similarities, from the cotangent d."""

import math

import numpy as np

from luxgen.ops.distance import pairwise_distance
from luxgen.ops.norm_backward import p_norm_backward
from luxgen.ops.types import Array


def cosine_similarity_backward(
    d: Array, x1: Array, x2: Array, *, dim: int = 1, eps: float = 1e-8
) -> tuple[Array, Array]:
    """The cotangents of x1 and x2, in the shape they are broadcast to.

    As in torch, a length below eps keeps its slope.
    """
    x1, x2 = np.broadcast_arrays(x1, x2)
    size1 = np.linalg.norm(x1, axis=dim, keepdims=True)
    size2 = np.linalg.norm(x2, axis=dim, keepdims=True)
    held1, held2 = np.maximum(size1, eps), np.maximum(size2, eps)
    unit1, unit2 = x1 / held1, x2 / held2
    d = np.expand_dims(d, dim)
    d_size = -d * (unit1 * unit2).sum(axis=dim, keepdims=True)
    d_x1 = (d * unit2 + p_norm_backward(d_size, x1, size1)) / held1
    d_x2 = (d * unit1 + p_norm_backward(d_size, x2, size2)) / held2
    return d_x1, d_x2


def cdist_backward(
    d: Array, x1: Array, x2: Array, y: Array, *, p: float = 2.0
) -> tuple[Array, Array]:
    """The cotangents of x1 (..., P, M) and x2 (..., R, M) for distances y.

    With p = inf every largest difference gets all of d, as in torch.
    """
    batch = y.shape[:-2]
    d_x1 = np.empty((*batch, *x1.shape[-2:]), y.dtype)
    d_x2 = np.zeros((*batch, *x2.shape[-2:]), y.dtype)
    share = d / np.where(y == 0, np.ones_like(y), y) if p == 2 else d
    for row in range(x1.shape[-2]):  # one row at a time: x2's memory, not P times it
        difference = x1[..., row, None, :] - x2
        size, d_size = y[..., row, :, None], share[..., row, :, None]
        if p == 2:
            d_difference = d_size * difference
        elif p == math.inf:
            d_difference = d_size * np.sign(difference) * (np.abs(difference) == size)
        else:
            d_difference = p_norm_backward(d_size, difference, size, p=p)
        d_x1[..., row, :] = d_difference.sum(axis=-2)
        d_x2 -= d_difference
    return d_x1, d_x2


def cdist_euclid_backward(
    d: Array, x1: Array, x2: Array, y: Array
) -> tuple[Array, Array]:
    """cdist_backward for p = 2 by matrix products."""
    share = np.where(y == 0, 0, d / np.where(y == 0, 1, y))
    d_x1 = share.sum(axis=-1)[..., None] * x1 - share @ x2
    share = np.swapaxes(share, -1, -2)
    return d_x1, share.sum(axis=-1)[..., None] * x2 - share @ x1


def pdist_backward(d: Array, x: Array, y: Array, *, p: float = 2.0) -> Array:
    """Of the rows x (N, M) for distances y, in order of (i, j)."""
    n = len(x)
    d_x = np.zeros_like(x)
    for i in range(n - 1):
        rest = slice(i * (2 * n - i - 1) // 2, (i + 1) * (2 * n - i - 2) // 2)
        d_row, d_rest = cdist_backward(
            d[None, rest], x[i : i + 1], x[i + 1 :], y[None, rest], p=p
        )
        d_x[i] += d_row[0]
        d_x[i + 1 :] += d_rest
    return d_x


def pairwise_distance_backward(
    d: Array, x1: Array, x2: Array, *, p: float = 2.0, eps: float = 1e-6
) -> Array:
    """Of x1 - x2; d keeps the last axis."""
    difference = x1 - x2 + eps
    size = np.linalg.norm(difference, p, axis=-1, keepdims=True)
    return p_norm_backward(d, difference, size, p=p)


def triplet_margin_loss_backward(
    d: Array,
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> tuple[Array, Array, Array]:
    """The cotangents of the three, as they are broadcast."""
    near = pairwise_distance(anchor, positive, p=p, eps=eps)
    far = pairwise_distance(anchor, negative, p=p, eps=eps)
    if swap:
        other = pairwise_distance(positive, negative, p=p, eps=eps)
        violated = near - np.minimum(far, other) + margin >= 0
    else:
        violated = near - far + margin >= 0
    if reduction == "mean":
        d = d / near.dtype.type(violated.size)
    d = np.where(violated, d, np.zeros_like(d))[..., None]
    d_near = pairwise_distance_backward(d, anchor, positive, p=p, eps=eps)
    if not swap:
        d_far = pairwise_distance_backward(d, anchor, negative, p=p, eps=eps)
        return d_near - d_far, -d_near, d_far
    share = np.sign(other - far)[..., None]  # half of d to each where they are equal
    to_far, to_other = d * (1 + share) / 2, d * (1 - share) / 2
    d_far = pairwise_distance_backward(to_far, anchor, negative, p=p, eps=eps)
    d_other = pairwise_distance_backward(to_other, positive, negative, p=p, eps=eps)
    return d_near - d_far, -d_near - d_other, d_far + d_other
