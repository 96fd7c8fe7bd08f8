"""The gamma function's relatives; computed in float64, returned in x's dtype."""

import math

import numpy as np

from luxgen.ops.types import Array

# B(2k) / (2k (2k - 1)) of Stirling's series for log(gamma), k = 1, 2, ...
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680) + (
    1 / 1188,
    -691 / 360360,
    1 / 156,
    -3617 / 122400,
)
# B(2k) / (2k)! of the Euler-Maclaurin formula, k = 1, 2, ...
EULER_MACLAURIN = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160) + (
    -691 / 1307674368000,
    1 / 74724249600,
    -3617 / 10670622842880000,
)


def lgamma(x: Array) -> Array:
    """log(abs(gamma(x))): shifted Stirling's series, reflected below 1/2."""
    z = x.astype(np.float64)
    a = np.where(z < 0.5, 1 - z, z)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.where(np.isinf(a), np.inf, stirling(a))
        sine = np.sin(math.pi * (z - np.round(z)))  # zero at the poles
        y = np.where(z < 0.5, np.log(math.pi / np.abs(sine)) - y, y)
    return np.where(np.isinf(z), np.inf, y).astype(x.dtype)


def stirling(a: Array) -> Array:
    """log(gamma(a)) for float64 a >= 1/2."""
    product = np.ones_like(a)
    w = a
    for _ in range(7):  # up to where the series is exact to the last digit
        product = np.where(w < 7, product * w, product)
        w = np.where(w < 7, w + 1, w)
    series = sum(c / w ** (2 * k + 1) for k, c in enumerate(STIRLING))
    return (
        (w - 0.5) * np.log(w)
        - w
        + (0.5 * math.log(2 * math.pi))
        + (series - np.log(product))
    )


def digamma(x: Array) -> Array:
    """Derivative of lgamma: NaN at negative integers, -inf at 0 as torch has it."""
    z = x.astype(np.float64)
    w = np.where(z < 0.5, 1 - z, z)
    y = np.zeros_like(w)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(10):
            y = np.where(w < 10, y - 1 / w, y)
            w = np.where(w < 10, w + 1, w)
        y += np.log(w) - 0.5 / w
        y -= sum((2 * k + 1) * c / w ** (2 * k + 2) for k, c in enumerate(STIRLING))
        tangent = np.tan(math.pi * (z - np.round(z)))
        y = np.where(z < 0.5, y - math.pi / tangent, y)
    y = np.where((z < 0) & (z == np.round(z)), np.nan, y)
    return np.where(z == 0, np.copysign(np.inf, -z), y).astype(x.dtype)


def zeta(x: Array, other: Array) -> Array:
    """Hurwitz' zeta: sum over k >= 0 of (other + k)^-x, by Euler and Maclaurin."""
    s, q = np.broadcast_arrays(x.astype(np.float64), other.astype(np.float64))
    y = np.zeros(s.shape)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        w = np.where(np.isfinite(q), q, 10)
        while np.any(w < 10):
            y = np.where(w < 10, y + w**-s, y)
            w = np.where(w < 10, w + 1, w)
        y = y + w ** (1 - s) / (s - 1) + 0.5 * w**-s
        rising = s * w ** (-s - 1)
        for k, c in enumerate(EULER_MACLAURIN):
            y = y + c * rising
            rising = rising * (s + 2 * k + 1) * (s + 2 * k + 2) / (w * w)
    whole = q == np.round(q)
    y = np.where((q <= 0) & ~whole & (s != np.round(s)), np.nan, y)
    y = np.where((q <= 0) & whole, np.inf, y)
    y = np.where(s < 1, np.nan, np.where(s == 1, np.inf, y))
    y = np.where(np.isfinite(q), y, np.where(q == np.inf, 0, np.nan))
    return y.astype(np.result_type(x, other))


def polygamma(n: int, x: Array) -> Array:
    """n-th derivative of digamma."""
    if n == 0:
        return digamma(x)
    z = x.astype(np.float64)
    sign = 1 if n % 2 else -1
    return (sign * math.factorial(n) * zeta(np.array(n + 1.0), z)).astype(x.dtype)


def mvlgamma(x: Array, p: int) -> Array:
    """Logarithm of the multivariate gamma function of dimension p."""
    z = x.astype(np.float64)
    y = np.full_like(z, p * (p - 1) / 4 * math.log(math.pi))
    for k in range(p):
        y += lgamma(z - 0.5 * k)
    return y.astype(x.dtype)


def gammainc(x: Array, other: Array) -> Array:
    """Regularised lower incomplete gamma function of shape x at `other`."""
    return gamma_parts(x, other)[0]


def gammaincc(x: Array, other: Array) -> Array:
    """Regularised upper incomplete gamma function of shape x at `other`."""
    return gamma_parts(x, other)[1]


def gamma_parts(x: Array, other: Array) -> tuple[Array, Array]:
    """Lower and upper part: Kummer's series up to x + 1, Lentz' fraction beyond.

    NaN for negative arguments; where one of them is 0 or inf, the limit.
    """
    a, z = np.broadcast_arrays(x.astype(np.float64), other.astype(np.float64))
    usual = (a > 0) & (z > 0) & np.isfinite(a) & np.isfinite(z)
    a1, z1 = np.where(usual, a, 1), np.where(usual, z, 1)
    below = z1 < a1 + 1
    factor = np.exp(a1 * np.log(z1) - z1 - lgamma(a1))

    near = np.where(below, z1, 1)
    shape = np.where(below, a1, 1)
    term = total = 1 / shape
    while np.any(np.abs(term) > 1e-17 * np.abs(total)):
        shape = shape + 1
        term = term * near / shape
        total = total + term

    far = np.where(below, a1 + 2, z1)
    b = far + 1 - a1
    c, d = np.full_like(b, 1e300), 1 / b
    fraction = d
    for k in range(1, 10_000):
        a_k = -k * (k - a1)
        b = b + 2
        d = 1 / (a_k * d + b)
        c = b + a_k / c
        fraction = fraction * (d * c)
        if np.all(np.abs(d * c - 1) < 1e-16):
            break
    lower = np.where(below, factor * total, 1 - factor * fraction)
    upper = np.where(below, 1 - factor * total, factor * fraction)
    edge = np.where(a == 0, 1.0, np.where(z == 0, 0.0, np.nan))
    edge = np.where((a == 0) & (z == 0), np.nan, edge)
    edge = np.where((z == np.inf) & np.isfinite(a), 1.0, edge)
    edge = np.where((a == np.inf) & np.isfinite(z), 0.0, edge)
    edge = np.where((a < 0) | (z < 0) | np.isnan(a) | np.isnan(z), np.nan, edge)
    dtype = np.result_type(x, other)
    lower, upper = np.where(usual, lower, edge), np.where(usual, upper, 1 - edge)
    return lower.astype(dtype), upper.astype(dtype)
