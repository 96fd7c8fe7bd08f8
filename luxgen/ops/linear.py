"""Affine maps and table look-ups."""

import math

import numpy as np

from luxgen.ops.types import Array


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Map x (..., in) by weight (out, in) to (..., out), as one matrix product."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y: Array = rows @ weight.T
    if bias is not None:
        y += bias
    return y.reshape(*x.shape[:-1], len(weight))


def bilinear(
    input1: Array, input2: Array, weight: Array, bias: Array | None = None
) -> Array:
    """input1^T W input2 for each W of weight (out, in1, in2): (..., out)."""
    products = np.tensordot(input1, weight, axes=(-1, 1))  # (..., out, in2)
    y: Array = np.squeeze(products @ input2[..., None], -1)
    if bias is not None:
        y = y + bias
    return y


def embedding(x: Array, weight: Array) -> Array:
    """Rows of weight (num, dim) by the integers x: (*x.shape, dim)."""
    y: Array = weight[x]
    return y


def embedding_bag(
    x: Array,
    weight: Array,
    offsets: Array | None = None,
    per_sample_weights: Array | None = None,
    *,
    mode: str = "mean",
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Array:
    """Reduce the rows weight[x] of each bag to one; an empty bag gives zeros.

    The bags are the rows of x (N, L), or start in x (L,) at offsets (N,).
    """
    if offsets is None:
        n, bag = len(x), np.repeat(np.arange(len(x)), x.shape[1])
    else:
        ends = offsets[1:] if include_last_offset else np.append(offsets[1:], len(x))
        n, bag = len(ends), np.repeat(np.arange(len(ends)), ends - offsets[: len(ends)])
    rows = weight[x.ravel()[: len(bag)]]
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1, 1)
    if padding_idx is not None:
        kept = x.ravel()[: len(bag)] != padding_idx % len(weight)
        rows, bag = rows[kept], bag[kept]
    y = np.zeros((n, weight.shape[1]), weight.dtype)
    filled, start, size = np.unique(bag, return_index=True, return_counts=True)
    reduce = np.maximum if mode == "max" else np.add
    y[filled] = reduce.reduceat(rows, start, axis=0)
    if mode == "mean":
        y[filled] /= size[:, None].astype(weight.dtype)
    return y


def one_hot(x: Array, *, num_classes: int = -1) -> Array:
    """Integers x (...) to (..., num_classes); -1: one more than the largest of x."""
    if num_classes == -1:
        num_classes = int(x.max()) + 1
    y = np.zeros((*x.shape, num_classes), np.int64)
    np.put_along_axis(y, x[..., None], 1, axis=-1)
    return y
