"""Functions of torch.special; computed in float64 and returned in x's dtype."""

import math

import numpy as np

from luxgen.ops.types import Array

# (1 + 2 a) * erfcx(a) for a >= 0 as a Chebyshev series in t = (a - 3.5) / (a + 3.5):
# coefficients of the interpolant at 60 nodes, computed in 80 digits.
ERFCX_CHEBYSHEV = (
    (1.1776327316361239, -0.0016301772834146291, -0.08733682573463146)
    + (0.058009748370293265, -0.024340115396182225, 0.0075294837156357487)
    + (-0.0017438817577112522, 0.00028269829816555586, -2.31849116112635e-5)
    + (-2.1117666981330409e-6, 8.7657601568928216e-7, -6.105702635086118e-8)
    + (-1.7116664716341917e-8, 3.3913602686112588e-9, 2.5466161936604598e-10)
    + (-1.2482784079516294e-10, -2.2122757753433795e-12, 4.4272603638230297e-12)
    + (-3.367266128031018e-14, -1.6519256000923579e-13, 1.9024103044538835e-15)
    + (6.6011879371728601e-15, 2.8802824494145349e-17, -2.7791709635735042e-16)
)


def erfcx_positive(a: Array) -> Array:
    """exp(a^2) * erfc(a) for float64 a >= 0."""
    t = 1 - 7 / (a + 3.5)
    y: Array = np.polynomial.chebyshev.chebval(t, ERFCX_CHEBYSHEV) / (1 + 2 * a)
    return y


def erfcx(x: Array) -> Array:
    """Scaled complementary error function exp(x^2) * erfc(x)."""
    z = x.astype(np.float64)
    y = erfcx_positive(np.abs(z))
    with np.errstate(over="ignore"):  # inf is the right limit
        low = 2 * np.exp(np.minimum(z, 0) ** 2) - y
    return np.where(z < 0, low, y).astype(x.dtype)


def erfc(x: Array) -> Array:
    """Complementary error function, relatively accurate in its tail."""
    z = x.astype(np.float64)
    a = np.minimum(np.abs(z), 30)  # erfc(30) is 0
    y: Array = np.exp(-a * a) * erfcx_positive(a)
    return np.where(z < 0, 2 - y, y).astype(x.dtype)


def ndtr(x: Array) -> Array:
    """Distribution function of the standard normal."""
    return (0.5 * erfc(x.astype(np.float64) * -math.sqrt(0.5))).astype(x.dtype)


def log_ndtr(x: Array) -> Array:
    """log(ndtr(x)), accurate in both tails."""
    z = x.astype(np.float64) * math.sqrt(0.5)
    low = np.minimum(z, 0)
    with np.errstate(divide="ignore"):  # -inf at -inf
        tail = np.log(0.5 * erfcx_positive(-low)) - low * low
    y = np.where(z < -1, tail, np.log1p(-0.5 * erfc(np.maximum(z, -1))))
    return y.astype(x.dtype)


def erf_inverse(a: Array, c: Array) -> Array:
    """y >= 0 with erf(y) = a and erfc(y) = c, where a + c = 1: Halley's method."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(c * (1 + a))  # Winitzki's formula, 2e-3
        t = 2 / (math.pi * 0.147) + 0.5 * log
        y = np.sqrt(np.sqrt(t * t - log / 0.147) - t)
        for _ in range(3):
            tail = erfc(y)
            excess = np.where(a < 0.5, erf_series(np.minimum(y, 1)) - a, c - tail)
            u = excess * (0.5 * math.sqrt(math.pi)) * np.exp(np.minimum(y * y, 700))
            y = y - u / (1 + y * u)
    return np.where(c == 0, np.inf, np.where(a == 0, 0, y))


def erf_series(x: Array) -> Array:
    """erf of float64 |x| <= 1, relatively accurate at 0: Kummer's series."""
    total: Array = 2 / math.sqrt(math.pi) * x * np.exp(-x * x)
    term = total
    for k in range(1, 24):
        term = term * x * x / (k + 0.5)
        total = total + term
    return total


def erfinv(x: Array) -> Array:
    """Inverse of erf: NaN outside [-1, 1]."""
    a = np.abs(x.astype(np.float64))
    y: Array = np.copysign(erf_inverse(a, 1 - a), x)
    return y.astype(x.dtype)


def ndtri(x: Array) -> Array:
    """Inverse of ndtr: NaN outside [0, 1]."""
    z = x.astype(np.float64)
    c = 2 * np.minimum(z, 1 - z)
    y = math.sqrt(2) * erf_inverse(1 - c, c)
    return np.where(z < 0.5, -y, y).astype(x.dtype)


def logit(x: Array, *, eps: float | None = None) -> Array:
    """log(x / (1 - x)), with x clipped to [eps, 1 - eps] where eps is given."""
    if eps is not None:
        x = np.clip(x, eps, 1 - eps)
    with np.errstate(divide="ignore", invalid="ignore"):  # -inf at 0, inf at 1
        y: Array = np.log(x / (1 - x))
    return y


def xlogy(x: Array, other: Array) -> Array:
    """x * log(other), and 0 where x is 0 unless other is NaN."""
    zero = (x == 0) & ~np.isnan(other)
    with np.errstate(divide="ignore", invalid="ignore"):
        y: Array = np.where(zero, np.zeros_like(other), x * np.log(other))
    return y


def xlog1py(x: Array, other: Array) -> Array:
    """x * log1p(other), and 0 where x is 0 unless other is NaN."""
    zero = (x == 0) & ~np.isnan(other)
    with np.errstate(divide="ignore", invalid="ignore"):
        y: Array = np.where(zero, np.zeros_like(other), x * np.log1p(other))
    return y


def entr(x: Array) -> Array:
    """-x * log(x): 0 at 0, -inf below."""
    z = np.where(x > 0, x, np.ones_like(x))
    y = np.where(x == 0, np.zeros_like(x), -z * np.log(z))
    return np.where(x < 0, np.full_like(x, -np.inf), np.where(np.isnan(x), x, y))
