"""Orthogonal polynomials of torch.special; computed in float64."""

from collections.abc import Callable

import numpy as np

from luxgen.ops.types import Array

# (k, x, polynomial k - 1, polynomial k - 2) -> polynomial k
Recurrence = Callable[[int, Array, Array, Array], Array]


def by_recurrence(x: Array, n: Array, first: Array, step: Recurrence) -> Array:
    """The n-th polynomial of a family at x: 1, first, ..., and 0 for n < 0."""
    degree = n.astype(np.int64)
    before, now = np.ones_like(first), first
    y = np.where(degree == 1, now, np.where(degree == 0, before, 0))
    y, _ = np.broadcast_arrays(y, x * n)
    for k in range(2, int(degree.max(initial=0)) + 1):
        before, now = now, step(k, x.astype(np.float64), now, before)
        y = np.where(degree == k, now, y)
    return y.astype(np.result_type(x, n))


def chebyshev_step(k: int, x: Array, now: Array, before: Array) -> Array:
    y: Array = 2 * x * now - before
    return y


def chebyshev_polynomial_t(x: Array, n: Array) -> Array:
    return by_recurrence(x, n, x.astype(np.float64), chebyshev_step)


def chebyshev_polynomial_u(x: Array, n: Array) -> Array:
    return by_recurrence(x, n, 2 * x.astype(np.float64), chebyshev_step)


def chebyshev_polynomial_v(x: Array, n: Array) -> Array:
    return by_recurrence(x, n, 2 * x.astype(np.float64) - 1, chebyshev_step)


def chebyshev_polynomial_w(x: Array, n: Array) -> Array:
    return by_recurrence(x, n, 2 * x.astype(np.float64) + 1, chebyshev_step)


def hermite_h_step(k: int, x: Array, now: Array, before: Array) -> Array:
    y: Array = 2 * x * now - 2 * (k - 1) * before
    return y


def hermite_polynomial_h(x: Array, n: Array) -> Array:
    return by_recurrence(x, n, 2 * x.astype(np.float64), hermite_h_step)


def hermite_he_step(k: int, x: Array, now: Array, before: Array) -> Array:
    y: Array = x * now - (k - 1) * before
    return y


def hermite_polynomial_he(x: Array, n: Array) -> Array:
    return by_recurrence(x, n, x.astype(np.float64), hermite_he_step)


def laguerre_step(k: int, x: Array, now: Array, before: Array) -> Array:
    y: Array = ((2 * k - 1 - x) * now - (k - 1) * before) / k
    return y


def laguerre_polynomial_l(x: Array, n: Array) -> Array:
    return by_recurrence(x, n, 1 - x.astype(np.float64), laguerre_step)


def legendre_step(k: int, x: Array, now: Array, before: Array) -> Array:
    y: Array = ((2 * k - 1) * x * now - (k - 1) * before) / k
    return y


def legendre_polynomial_p(x: Array, n: Array) -> Array:
    return by_recurrence(x, n, x.astype(np.float64), legendre_step)
