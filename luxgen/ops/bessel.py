"""Modified Bessel functions of order 0 and 1; computed in float64."""

import math

import numpy as np

from luxgen.ops.types import Array


def i0(x: Array) -> Array:
    a = np.abs(x.astype(np.float64))
    with np.errstate(over="ignore", invalid="ignore"):  # NaN at inf, as torch has it
        return (bessel_ie(a, 0) * np.exp(a)).astype(x.dtype)


def i0e(x: Array) -> Array:
    return bessel_ie(np.abs(x.astype(np.float64)), 0).astype(x.dtype)


def i1(x: Array) -> Array:
    a = np.abs(x.astype(np.float64))
    with np.errstate(over="ignore", invalid="ignore"):
        return (np.sign(x) * bessel_ie(a, 1) * np.exp(a)).astype(x.dtype)


def i1e(x: Array) -> Array:
    return (np.sign(x) * bessel_ie(np.abs(x.astype(np.float64)), 1)).astype(x.dtype)


def bessel_ie(a: Array, order: int) -> Array:
    """exp(-a) * I(order, a), float64 a >= 0: power series up to 20, then Hankel's."""
    low, high = np.minimum(a, 20), np.maximum(a, 20)
    term = total = np.exp(-low) * (low / 2) ** order
    for k in range(1, 60):
        term = term * (low / 2) ** 2 / (k * (k + order))
        total = total + term
    hankel = series = np.ones_like(high)
    for k in range(1, 30):
        hankel = hankel * ((2 * k - 1) ** 2 - 4 * order**2) / (8 * k * high)
        series = series + hankel
    return np.where(a > 20, series / np.sqrt(2 * math.pi * high), total)
