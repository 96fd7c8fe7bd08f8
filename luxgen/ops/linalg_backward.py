"""Backward passes of linear algebra, from the cotangent d."""

import math
from typing import Any

import numpy as np

from luxgen.ops.elementwise import sgn
from luxgen.ops.types import Array


def adjoint(x: Array) -> Array:
    """The matrices' conjugate transposes."""
    return x.swapaxes(-2, -1).conj()


def det_backward(d: Array, x: Array) -> Array:
    """d times the cofactors: by singular values, the product of the others'."""
    u, s, vh = np.linalg.svd(x)
    ones = np.ones_like(s[..., :1])
    below = np.cumprod(np.concatenate((ones, s[..., :-1]), axis=-1), axis=-1)
    above = np.cumprod(np.concatenate((ones, s[..., :0:-1]), axis=-1), axis=-1)
    rest = below * np.flip(above, -1)
    sign = np.asarray(np.linalg.det(u) * np.linalg.det(vh)).conj() * d
    y: Array = u * (sign[..., None] * rest)[..., None, :] @ vh
    return y


def pinv_backward(d: Array, x: Array, y: Array) -> Array:
    """Of x with the pseudo-inverse y, if its rank stays."""
    yh, dh = adjoint(y), adjoint(d)
    below, beside = dh @ y @ yh, yh @ y @ dh
    d_x: Array = below - x @ (y @ below) + beside - (beside @ y) @ x - yh @ d @ yh
    return d_x


def matrix_power_backward(d: Array, x: Array, n: int) -> Array:
    """Sum over the factors of x^n, each between the powers of the others."""
    xh = adjoint(x)
    power, y = xh, d
    for _ in range(n - 1):
        y = y @ xh + power @ d
        power = power @ xh
    return y


def matrix_exp_backward(d: Array, x: Array) -> Array:
    """The derivative of matrix_exp's series and squarings at x^H, in direction d."""
    xh = adjoint(x)
    size = np.abs(xh).sum(axis=-2).max(initial=0)
    squarings = max(0, math.ceil(math.log2(size)) + 1) if size > 0 else 0
    a, d_a = xh * 0.5**squarings, d * 0.5**squarings
    y = one = np.eye(x.shape[-1], dtype=x.dtype)
    d_y = np.zeros_like(d)
    for k in range(16, 0, -1):
        d_y = (d_a @ y + a @ d_y) / k
        y = one + (a @ y) / k
    for _ in range(squarings):
        d_y = d_y @ y + y @ d_y
        y = y @ y
    return d_y


def matrix_norm_backward(
    d: Array,
    x: Array,
    *,
    ord: Any,
    dim: tuple[int, int] = (-2, -1),
    keepdim: bool = False,
) -> Array:
    """Norms by singular values ("nuc", 2, -2) or by sums of magnitudes (1, inf ...)."""
    matrices = np.moveaxis(x, dim, (-2, -1))
    size = np.moveaxis(d, dim, (-2, -1)) if keepdim else d[..., None, None]
    if ord == "nuc":
        u, s, vh = np.linalg.svd(matrices, full_matrices=False)
        y = u @ vh
    elif ord in (2, -2):
        u, s, vh = np.linalg.svd(matrices, full_matrices=False)
        best = s[..., :1] if ord == 2 else s[..., -1:]
        share = (s == best) / (s == best).sum(axis=-1, keepdims=True, dtype=s.dtype)
        y = u * share.astype(s.dtype)[..., None, :] @ vh
    else:
        sums = np.abs(matrices).sum(axis=-2 if abs(ord) == 1 else -1, keepdims=True)
        extreme = np.max if ord > 0 else np.min
        chosen = sums == extreme(sums, axis=(-2, -1), keepdims=True)
        count = chosen.sum(axis=(-2, -1), keepdims=True, dtype=sums.dtype)
        y = sgn(matrices) * (chosen / count)
    return np.moveaxis((y * size).astype(x.dtype, copy=False), (-2, -1), dim)


def cholesky_backward(d: Array, y: Array, *, upper: bool = False) -> Array:
    """Of the Hermitian matrix with the factor y, from that of the lower triangle."""
    low, d_low = (adjoint(y), adjoint(d)) if upper else (y, d)
    inner = np.tril(adjoint(low) @ d_low)
    inner = inner + adjoint(np.tril(inner, -1))
    back = np.linalg.solve(adjoint(low), inner)
    d_x: Array = 0.5 * adjoint(np.linalg.solve(adjoint(low), adjoint(back)))
    return d_x


def qr_backward(d_q: Array, d_r: Array, q: Array, r: Array) -> Array:
    """Of x = q r; columns beyond the square part of r depend on q alone."""
    k = q.shape[-1]
    square, rest = r[..., :k], r[..., k:]
    d_square, d_rest = d_r[..., :k], d_r[..., k:]
    n = np.arange(k)
    upper = np.triu(d_square @ adjoint(square))
    inside = adjoint(q) @ d_q
    turn = inside + rest @ adjoint(d_rest)
    lower = np.tril(turn - adjoint(turn))
    upper[..., n, n] *= 0.5
    lower[..., n, n] *= 0.5
    own = q @ (upper + adjoint(upper) + lower)
    if q.shape[-2] > k:  # what d_q has outside the space that q spans
        own = own + d_q - q @ inside
    own = adjoint(np.linalg.solve(square, adjoint(own)))
    return np.concatenate((own, q @ d_rest), axis=-1)


def svdvals_backward(d: Array, u: Array, vh: Array) -> Array:
    """Of a matrix, from d of its singular values."""
    k = d.shape[-1]
    y: Array = u[..., :k] * d[..., None, :] @ vh[..., :k, :]
    return y


def differences(x: Array) -> Array:
    """x[j] - x[i] for all i, j; ones on the diagonal."""
    y: Array = x[..., None, :] - x[..., :, None]
    n = np.arange(x.shape[-1])
    y[..., n, n] = 1
    return y


def svd_backward(
    d_u: Array, d_s: Array, d_vh: Array, u: Array, s: Array, vh: Array
) -> Array:
    """Of x = u diag(s) vh, from all three."""
    k = s.shape[-1]
    u, d_u, vh, d_vh = u[..., :k], d_u[..., :k], vh[..., :k, :], d_vh[..., :k, :]
    left, right = adjoint(u) @ d_u, vh @ adjoint(d_vh)
    left, right = left - adjoint(left), right - adjoint(right)
    gaps = differences(s * s)
    inner = (left * s[..., None, :] + s[..., :, None] * right) / gaps
    n = np.arange(k)
    inner[..., n, n] = d_s
    if left.dtype.kind == "c":
        inner[..., n, n] += left[..., n, n] / (2 * s)
    y: Array = u @ inner @ vh
    if u.shape[-2] > k:  # what d_u has outside the space that u spans
        outside = d_u / s[..., None, :]
        y = y + (outside - u @ (adjoint(u) @ outside)) @ vh
    if vh.shape[-1] > k:
        outside = d_vh / s[..., :, None]
        y = y + u @ (outside - (outside @ adjoint(vh)) @ vh)
    return y


def eigh_backward(
    d_values: Array, d_vectors: Array, values: Array, vectors: Array
) -> Array:
    """Of a Hermitian matrix, from its eigenvalues and vectors."""
    inner = adjoint(vectors) @ d_vectors
    inner = 0.5 * (inner - adjoint(inner)) / differences(values)
    n = np.arange(values.shape[-1])
    inner[..., n, n] = d_values
    y: Array = vectors @ inner @ adjoint(vectors)
    return y


def eig_backward(
    d_values: Array,
    values: Array,
    vectors: Array,
    *,
    d_vectors: Array | None = None,
) -> Array:
    """Of a square matrix, from its eigenvalues and vectors of length 1."""
    n = np.arange(values.shape[-1])
    if d_vectors is None:
        inner = np.zeros(vectors.shape, vectors.dtype)
    else:
        inner = adjoint(vectors) @ d_vectors
        lengths = inner[..., n, n].real[..., None, :]
        inner = inner - adjoint(vectors) @ (vectors * lengths)
        inner /= differences(values).conj()
    inner[..., n, n] = d_values
    y: Array = np.linalg.solve(adjoint(vectors), inner @ adjoint(vectors))
    return y
