"""Elementwise functions that NumPy has no single expression for."""

import numpy as np

from luxgen.ops.types import Array


def lerp(x: Array, end: Array, weight: Array) -> Array:
    """torch.lerp for a tensor weight: interpolate from the nearer end."""
    low, high = x + weight * (end - x), end - (1 - weight) * (end - x)
    return np.where(np.abs(weight) < 0.5, low, high)


def xlogy(x: Array, other: Array) -> Array:
    """x * log(other), 0 where x is 0 unless other is NaN."""
    zero = (x == 0) & ~np.isnan(other)
    y: Array = np.where(zero, 0, x) * np.log(np.where(zero, 1, other))
    return y


def trunc_divide(x: Array, other: Array) -> Array:
    """Integer division towards zero."""
    quotient = x // other
    y: Array = quotient + ((x % other != 0) & (quotient < 0))
    return y.astype(quotient.dtype)


def sgn(x: Array) -> Array:
    """x / |x| of complex x, 0 for 0."""
    size = np.abs(x)
    y: Array = x / np.where(size == 0, 1, size)
    return y.astype(x.dtype)


def make_complex(real: Array, imag: Array) -> Array:
    """real + i imag, exact for infinities and NaN."""
    shape = np.broadcast_shapes(real.shape, imag.shape)
    y = np.empty(shape, np.result_type(real, np.complex64))
    y.real, y.imag = real, imag
    return y


def masked_select(x: Array, mask: Array) -> Array:
    """Elements of x where mask, both broadcast, as one flat array."""
    x, mask = np.broadcast_arrays(x, mask)
    return x[mask]


def masked_scatter(x: Array, mask: Array, source: Array) -> Array:
    """Replace x where mask by the first elements of source, in order."""
    x, mask = np.broadcast_arrays(x, mask)
    y = np.array(x)
    y[mask] = source.ravel()[: np.count_nonzero(mask)]
    return y
