"""Activations: elementwise functions of torch.nn.functional, and GLU."""

import numpy as np

from luxgen.ops.erf import erf
from luxgen.ops.types import Array


def relu(x: Array) -> Array:
    y: Array = np.maximum(x, 0)
    return y


def relu6(x: Array) -> Array:
    return np.clip(x, 0, 6)


def leaky_relu(x: Array, *, negative_slope: float = 0.01) -> Array:
    if 0 < negative_slope <= 1:
        y: Array = np.maximum(x, negative_slope * x)
        return y
    return np.maximum(x, 0) + negative_slope * np.minimum(x, 0)


def prelu(x: Array, weight: Array) -> Array:
    """Scale the negative part by one weight, or by one per channel (axis 1)."""
    slope = weight.reshape(-1, *(1,) * (x.ndim - 2))
    y: Array = np.maximum(x, 0) + slope * np.minimum(x, 0)
    return y


def elu(x: Array, *, alpha: float = 1.0) -> Array:
    y: Array = np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0))
    return y


def celu(x: Array, *, alpha: float = 1.0) -> Array:
    y: Array = np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha)
    return y


def selu(x: Array) -> Array:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    y: Array = np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0))
    return y * scale


def gelu(x: Array, *, approximate: str = "none") -> Array:
    if approximate == "tanh":
        cubic = x + 0.044715 * x * x * x
        y: Array = np.tanh(0.7978845608028654 * cubic)  # sqrt(2 / pi)
    else:
        y = erf(0.7071067811865476 * x)  # sqrt(1 / 2)
    y = 0.5 * x * (1 + y)
    return y


def sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):  # exp(-x) = inf gives the right 0
        y: Array = 1 / (1 + np.exp(-x))
    return y


def logsigmoid(x: Array) -> Array:
    y: Array = np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))
    return y


def silu(x: Array) -> Array:
    with np.errstate(over="ignore"):  # exp(-x) = inf gives the right 0
        y: Array = x / (1 + np.exp(-x))
    return y


def mish(x: Array) -> Array:
    """x * tanh(softplus(x)), with tanh(log(1 + e)) as a fraction in e."""
    e = np.exp(np.minimum(x, 20))  # beyond, the fraction is 1
    n = e * (e + 2)
    y: Array = x * (n / (n + 2))
    return y


def softplus(x: Array, *, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold."""
    z = x if beta == 1 else beta * x
    y = np.where(z > threshold, z, np.log1p(np.exp(np.minimum(z, threshold))))
    return y if beta == 1 else y / beta


def softsign(x: Array) -> Array:
    y: Array = x / (1 + np.abs(x))
    return y


def tanhshrink(x: Array) -> Array:
    y: Array = x - np.tanh(x)
    return y


def hardtanh(x: Array, *, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    return np.clip(x, min_val, max_val)


def hardsigmoid(x: Array) -> Array:
    y: Array = np.clip(x + 3, 0, 6) / 6
    return y


def hardswish(x: Array) -> Array:
    y: Array = x * np.clip(x + 3, 0, 6) / 6
    return y


def hardshrink(x: Array, *, lambd: float = 0.5) -> Array:
    """Zero what lies within [-lambd, lambd]; NaN stays NaN."""
    y: Array = x * ~(np.abs(x) <= lambd)
    return y


def softshrink(x: Array, *, lambd: float = 0.5) -> Array:
    y: Array = x - np.clip(x, -lambd, lambd)
    return y


def threshold_at(x: Array, threshold: float, value: float) -> Array:
    """F.threshold: x where it exceeds the threshold, or is NaN; else value."""
    return np.where(x <= threshold, np.asarray(value, x.dtype), x)


def glu(x: Array, *, dim: int = -1) -> Array:
    a, b = np.split(x, 2, axis=dim)
    return a * sigmoid(b)
