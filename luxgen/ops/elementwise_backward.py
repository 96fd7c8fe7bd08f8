"""What gradients of elementwise ops and selections need."""

import numpy as np

from luxgen.ops.elementwise import masked_select
from luxgen.ops.types import Array


def masked_scatter_backward(d: Array, mask: Array, source: Array) -> Array:
    """Cotangent of source, whose first elements went where mask is."""
    used = masked_select(d, mask)
    y = np.zeros(source.size, d.dtype)
    y[: used.size] = used
    return y.reshape(source.shape)
