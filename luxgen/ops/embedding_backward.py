"""Gradients of table look-ups."""

import numpy as np

from luxgen.ops.types import Array


def embedding_backward(
    d: Array,
    x: Array,
    weight: Array,
    *,
    padding_idx: int | None = None,
    scale_grad_by_freq: bool = False,
) -> Array:
    """Add up d (..., dim) by the integers x (...) in zeros like weight (num, dim).

    The row padding_idx stays zero; rows are divided by how often x has them.
    """
    y = np.zeros(weight.shape, d.dtype)
    if scale_grad_by_freq:
        count = np.bincount(x.ravel(), minlength=len(weight)).astype(d.dtype)
        d = d / count[x][..., None]
    columns = np.arange(weight.shape[1])
    np.add.at(y.ravel(), (x[..., None] * len(columns) + columns).ravel(), d.ravel())
    if padding_idx is not None:
        y[padding_idx] = 0
    return y
