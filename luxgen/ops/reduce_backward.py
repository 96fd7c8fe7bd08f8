"""Gradients of reductions that NumPy has no single expression for."""

from typing import Any

import numpy as np

from luxgen.ops.scatter import scatter_add
from luxgen.ops.sort import argsort
from luxgen.ops.types import Array


def prod_backward(d: Array, x: Array, dim: int | None = None) -> Array:
    """`d` times the product of the other elements, of which some may be 0."""
    zero = x == 0
    others = np.where(zero, np.ones_like(x), x)
    rest = others.prod(axis=dim, keepdims=True) / others
    elsewhere = zero.sum(axis=dim, keepdims=True) > zero  # a 0 among the others
    y: Array = d * np.where(elsewhere, np.zeros_like(x), rest)
    return y


def quantile_places(
    x: Array, q: Any, interpolation: str, ignore_nan: bool
) -> tuple[Array, Array, Array, Array]:
    """Ranks below and above each of q in the last dim, weights, and their change by q.

    NaN is the largest; it is what quantiles of it are, unless it is ignored.
    """
    n = x.shape[-1]
    nans = np.isnan(x).sum(axis=-1, keepdims=True)
    last = np.maximum(n - nans, 1) - 1 if ignore_nan else np.full_like(nans, n - 1)
    rank = np.asarray(q, x.dtype).reshape(-1) * last.astype(x.dtype)  # rounds as torch
    if not ignore_nan:
        rank = np.where(nans > 0, n - 1, rank)
    if interpolation == "lower":
        rank = np.floor(rank)
    elif interpolation == "higher":
        rank = np.ceil(rank)
    elif interpolation == "nearest":
        rank = np.round(rank)
    low, high = np.floor(rank).astype(np.int64), np.ceil(rank).astype(np.int64)
    weight = np.full_like(rank, 0.5) if interpolation == "midpoint" else rank - low
    slope = last if interpolation == "linear" else np.zeros_like(last)
    return low, high, weight, slope


def quantile_backward(
    d: Array,
    x: Array,
    q: Any,
    dim: int | None = None,
    *,
    interpolation: str = "linear",
    ignore_nan: bool = False,
) -> Array:
    """`d` shared by the two elements that each quantile lies between.

    d has x's dims, the reduced ones of size 1, after q's dim if it has one.
    """
    rows = x.reshape(-1) if dim is None else np.moveaxis(x, dim, -1)
    d = np.moveaxis(d.reshape(-1, *rows.shape[:-1]), 0, -1)
    low, high, weight, _ = quantile_places(rows, q, interpolation, ignore_nan)
    order = argsort(rows)
    low, high = (np.broadcast_to(k, d.shape) for k in (low, high))
    below, above = (np.take_along_axis(order, k, axis=-1) for k in (low, high))
    y = np.zeros_like(rows)
    y = scatter_add(y, rows.ndim - 1, below, (d * (1 - weight)).astype(x.dtype))
    y = scatter_add(y, rows.ndim - 1, above, (d * weight).astype(x.dtype))
    return y.reshape(x.shape) if dim is None else np.moveaxis(y, -1, dim)


def quantile_q_backward(
    d: Array,
    x: Array,
    q: Array,
    dim: int | None = None,
    *,
    interpolation: str = "linear",
    ignore_nan: bool = False,
) -> Array:
    """Cotangent of q: the distance of the two elements, per rank."""
    rows = x.reshape(-1) if dim is None else np.moveaxis(x, dim, -1)
    d = np.moveaxis(d.reshape(-1, *rows.shape[:-1]), 0, -1)
    low, high, _, slope = quantile_places(rows, q, interpolation, ignore_nan)
    order = np.sort(rows, axis=-1)
    low, high = (np.broadcast_to(k, d.shape) for k in (low, high))
    below, above = (np.take_along_axis(order, k, axis=-1) for k in (low, high))
    y: Array = (d * (above - below) * slope).reshape(-1, d.shape[-1]).sum(axis=0)
    return y.reshape(q.shape).astype(q.dtype)


def cov_backward(
    d: Array,
    x: Array,
    *,
    correction: int = 1,
    fweights: Array | None = None,
    aweights: Array | None = None,
) -> Array:
    """Cotangent of the variables, which are the rows of x."""
    rows = np.atleast_2d(x)
    d = np.atleast_2d(d)
    centred, weights, factor = cov_parts(rows, correction, fweights, aweights)
    y: Array = (d + d.conj().T) @ (centred * (weights / factor))
    return y.reshape(x.shape).astype(x.dtype)


def cov_parts(
    x: Array, correction: int, fweights: Array | None, aweights: Array | None
) -> tuple[Array, Array, Any]:
    """Centred rows of x, the weights of its columns, what their squares' sum is over.

    In double precision, as np.cov is.
    """
    x = x.astype(np.result_type(x, np.float64))
    weights = np.ones(x.shape[1])
    if fweights is not None:
        weights = weights * fweights
    if aweights is not None:
        weights = weights * aweights
    total = weights.sum()
    factor = total - correction
    if aweights is not None:
        factor = total - correction * (weights * aweights).sum() / total
    return x - (x * weights).sum(axis=1, keepdims=True) / total, weights, factor


def cov_weights_backward(
    d: Array,
    x: Array,
    y: Array,
    aweights: Array,
    *,
    correction: int = 1,
    fweights: Array | None = None,
) -> Array:
    """Cotangent of the weights; y are the covariances."""
    rows = np.atleast_2d(x)
    d = np.atleast_2d(d)
    centred, weights, factor = cov_parts(rows, correction, fweights, aweights)
    total, square = weights.sum(), (weights * aweights).sum()
    change = 1 - correction * (2 * aweights / total - square / total**2)
    each = ((d.conj().T @ centred) * centred.conj()).real.sum(axis=0)
    found: Array = (each - (d.conj() * y).real.sum() * change) / factor
    if fweights is not None:
        found = found * fweights
    return found.astype(aweights.dtype)


def corrcoef_backward(d: Array, x: Array, y: Array) -> Array:
    """Cotangent of the variables, which are the rows of x; y are the coefficients."""
    if y.ndim == 0:
        return np.zeros_like(x)
    centred = x - x.mean(axis=1, keepdims=True)
    size = np.sqrt((np.abs(centred) ** 2).sum(axis=1, keepdims=True))
    unit = centred / size
    both = d + d.conj().T
    along = (both * y.conj()).real.sum(axis=1, keepdims=True)
    found: Array = (both @ unit - along * unit) / size
    return found.astype(x.dtype)


def trace_backward(d: Array, x: Array) -> Array:
    """`d` on the diagonal."""
    y = np.zeros_like(x)
    np.fill_diagonal(y, d)
    return y
