"""Bessel functions of order 0 and 1; computed in float64, returned in x's dtype."""

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


def modified_bessel_k0(x: Array) -> Array:
    return bessel_k(x, 0, scaled=False)


def modified_bessel_k1(x: Array) -> Array:
    return bessel_k(x, 1, scaled=False)


def scaled_modified_bessel_k0(x: Array) -> Array:
    return bessel_k(x, 0, scaled=True)


def scaled_modified_bessel_k1(x: Array) -> Array:
    return bessel_k(x, 1, scaled=True)


def bessel_k(x: Array, order: int, *, scaled: bool) -> Array:
    """K(order, x), times exp(x) if scaled: NaN below 0, inf at 0.

    The trapezoidal rule for the integral of exp(-x * cosh(t)) * cosh(order * t).
    """
    z = x.astype(np.float64)
    low = np.where(np.isfinite(z), np.maximum(z, 1e-17), 1)
    step = 0.05 * np.sqrt(np.minimum(1, 200 / low))
    y = 0.5 * np.ones_like(low)
    for k in range(1, 900):
        fall = low * (2 * np.sinh(k * step / 2) ** 2)
        y += np.exp(-fall) * np.cosh(order * k * step)
    y *= step
    if not scaled:
        y *= np.exp(-low)
    y = np.where(z == np.inf, 0, np.where(z >= 0, y, np.nan))
    return np.where(z == 0, np.inf, y).astype(x.dtype)


def bessel_j0(x: Array) -> Array:
    return bessel_jy(x, 0)[0]


def bessel_j1(x: Array) -> Array:
    return bessel_jy(x, 1)[0]


def bessel_y0(x: Array) -> Array:
    return bessel_jy(x, 0)[1]


def bessel_y1(x: Array) -> Array:
    return bessel_jy(x, 1)[1]


def bessel_jy(x: Array, order: int) -> tuple[Array, Array]:
    """J(order, x) and Y(order, x): by integrals up to 25, then Hankel's expansion.

    J is a mean of cos(x * sin(t)), and Y's part without a logarithm, Neumann's sum of
    J(2 k, x), is one with weights; the trapezoidal rule gives both to the last digit.
    """
    z = x.astype(np.float64)
    a = np.abs(z)
    low, high = np.minimum(a, 25), np.maximum(a, 25)
    j, rest = np.zeros_like(low), np.zeros_like(low)
    k = np.arange(1, 48)
    for t in (np.arange(96) + 0.5) * (math.pi / 96):
        s = math.sin(t)
        wave = np.cos(low * s) if order == 0 else s * np.sin(low * s)
        j += wave / 96
        rest += wave * (-((-1.0) ** k) * np.cos(2 * k * t) / k).sum() / 96
    with np.errstate(divide="ignore", invalid="ignore"):
        y = 2 / math.pi * ((np.log(low / 2) + np.euler_gamma) * j + 2 * rest)
        if order == 1:  # the logarithm's derivative times J(0, x)
            y -= 2 / (math.pi * low) * bessel_jy(low, 0)[0]
    p, q = hankel_parts(high, order)
    phase = np.where(np.isinf(high), 0, high) - (2 * order + 1) * (math.pi / 4)
    size = np.sqrt(2 / (math.pi * high))  # 0 at inf
    j_far = size * (p * np.cos(phase) - q * np.sin(phase))
    y_far = size * (p * np.sin(phase) + q * np.cos(phase))
    j, y = np.where(a > 25, j_far, j), np.where(a > 25, y_far, y)
    if order == 1:
        j = j * np.sign(z)
    y = np.where(z < 0, np.nan, np.where(z == 0, -np.inf, y))
    return j.astype(x.dtype), y.astype(x.dtype)


def hankel_parts(x: Array, order: int) -> tuple[Array, Array]:
    """Even and odd terms of Hankel's expansion for large float64 x."""
    p, q, term = np.ones_like(x), np.zeros_like(x), np.ones_like(x)
    for k in range(1, 30):
        term = term * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k * x)
        sign = -1 if k // 2 % 2 else 1
        if k % 2:
            q = q + sign * term
        else:
            p = p + sign * term
    return p, q


def spherical_bessel_j0(x: Array) -> Array:
    """sin(x) / x."""
    z = x.astype(np.float64)
    y = np.sinc(np.where(np.isinf(z), 1, z / math.pi))
    return np.where(np.isinf(z), 0, y).astype(x.dtype)
