"""Backward passes of losses between numbers, from the cotangent d of the loss."""

import numpy as np

from luxgen.ops.types import Array


def binary_cross_entropy_target_backward(d: Array, x: Array) -> Array:
    """Of the target: infinite where a probability is 0 or 1, as in torch."""
    with np.errstate(divide="ignore"):  # log(0) = -inf
        d_target: Array = d * (np.log1p(-x) - np.log(x))
    return d_target


def cosine_embedding_loss_backward(
    d: Array,
    input1: Array,
    input2: Array,
    target: Array,
    *,
    margin: float = 0.0,
    reduction: str = "mean",
) -> tuple[Array, Array]:
    """The cotangents of both inputs, as they are broadcast."""
    square1 = np.square(input1).sum(axis=-1) + input1.dtype.type(1e-12)
    square2 = np.square(input2).sum(axis=-1) + input2.dtype.type(1e-12)
    size = np.sqrt(square1 * square2)
    cos = (input1 * input2).sum(axis=-1) / size
    slope = ((target == -1) & (cos >= margin)).astype(cos.dtype) - (target == 1)
    if reduction == "mean":
        d = d / cos.dtype.type(slope.size)
    d = (d * slope)[..., None]
    size, cos = size[..., None], cos[..., None]
    d_input1 = d * (input2 / size - input1 * (cos / square1[..., None]))
    d_input2 = d * (input1 / size - input2 * (cos / square2[..., None]))
    return d_input1, d_input2
