"""Backward passes of activations: of their inputs, from the cotangent d."""

import numpy as np

from luxgen.ops.activation import sigmoid
from luxgen.ops.erf import erf
from luxgen.ops.types import Array


def gelu_backward(d: Array, x: Array, *, approximate: str = "none") -> Array:
    if approximate == "tanh":
        z = np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))  # sqrt(2 / pi)
        inner = 0.7978845608028654 * (1 + 0.134145 * x * x)
        slope: Array = 0.5 * (1 + z) + 0.5 * x * (1 - z * z) * inner
    else:
        slope = erf(0.7071067811865476 * x)  # sqrt(1 / 2)
        slope += 1
        slope *= 0.5
        slope += x * (0.3989422804014327 * np.exp(-0.5 * x * x))  # 1 / sqrt(2 pi)
    slope *= d
    return slope


def mish_backward(d: Array, x: Array) -> Array:
    """mish(x) = x * t with t = tanh(log(1 + e)), a fraction in e = exp(x)."""
    e = np.exp(np.minimum(x, 20))  # beyond, the slope is 1
    n = e * (e + 2)
    t = n / (n + 2)
    y: Array = d * (t + x * (1 - t * t) * (e / (1 + e)))
    return y


def glu_backward(d: Array, x: Array, *, dim: int = -1) -> Array:
    a, b = np.split(x, 2, axis=dim)
    s = sigmoid(b)
    return np.concatenate((d * s, d * a * s * (1 - s)), axis=dim)
