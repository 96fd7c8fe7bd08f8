"""Draws that have a gradient: what they keep for it, and their backward passes."""

import numpy as np

from luxgen.ops.gamma import digamma
from luxgen.ops.noise import NoiseState, generator, standard_gamma
from luxgen.ops.softmax import softmax
from luxgen.ops.types import Array


def gumbel_softmax_saved(
    logits: Array, st: NoiseState, *, tau: float = 1.0, dim: int = -1
) -> tuple[tuple[Array, Array], NoiseState]:
    """gumbel_softmax with hard=True, and the softmax that its gradient passes."""
    gumbel = generator(st.seed, st.step).gumbel(size=logits.shape).astype(logits.dtype)
    soft = softmax((logits + gumbel) / tau, dim)
    y = np.zeros_like(soft)
    np.put_along_axis(y, np.expand_dims(soft.argmax(axis=dim), dim), 1, axis=dim)
    return (y, soft), st._replace(step=st.step + 1)


def gumbel_softmax_backward(
    d: Array, y: Array, *, tau: float = 1.0, dim: int = -1
) -> Array:
    """Of the logits, through the softmax y."""
    d_x: Array = y * (d - (d * y).sum(axis=dim, keepdims=True)) / tau
    return d_x


def dirichlet_saved(x: Array, st: NoiseState) -> tuple[tuple[Array, Array], NoiseState]:
    """dirichlet, and the gamma draws that it divides by their sum."""
    draws, st = standard_gamma(x, st)
    return (draws / draws.sum(axis=-1, keepdims=True), draws), st


def dirichlet_backward(d: Array, x: Array, draws: Array) -> Array:
    """Of the concentrations x, along the paths of the gamma draws."""
    total = draws.sum(axis=-1, keepdims=True)
    along = (d * draws).sum(axis=-1, keepdims=True) / total
    return standard_gamma_backward((d - along) / total, x, draws)


def standard_gamma_backward(d: Array, x: Array, draws: Array) -> Array:
    """Of the shape parameters x: d times dz/dx of draws z of constant probability.

    By series, computed in float64. Source: ATen/native/Distributions.h,
    standard_gamma_grad.
    """
    shape, x, z = (
        x.shape,
        x.astype(np.float64).ravel(),
        draws.astype(np.float64).ravel(),
    )
    slope = np.empty_like(x)
    small = z < 0.8
    wide = ~small & (x > 8)
    near = wide & (np.abs(z - x) <= 0.1 * x)
    rest = ~small & ~wide
    far = wide & ~near
    slope[small] = gamma_slope_small(x[small], z[small])
    slope[near] = gamma_slope_near(x[near], z[near])
    slope[far] = gamma_slope_far(x[far], z[far])
    slope[rest] = gamma_slope_between(x[rest], z[rest])
    d_x: Array = d * slope.reshape(shape).astype(draws.dtype)
    return d_x


def gamma_slope_small(x: Array, z: Array) -> Array:
    """Taylor's series of the distribution function about z = 0."""
    term, below = np.ones_like(x), x.copy()
    first, second = 1 / x, 1 / x**2
    for k in range(1, 6):
        term = term * (-z / k)
        below += 1
        first += term / below
        second += term / below**2
    with np.errstate(divide="ignore", invalid="ignore"):  # z = 0 has slope 0
        slope = ((digamma(x) - np.log(z)) * first + second) * z * np.exp(z)
    return np.where(z == 0, 0, slope)


def gamma_slope_near(x: Array, z: Array) -> Array:
    """Rice's saddle point expansion, where z is near x."""
    a = 1 + 24 * x * (1 + 12 * x)
    b = 1440 * x**2 + 6 * z * (53 - 120 * z) - 65 * z**2 / x + x * (107 + 3600 * z)
    y: Array = a * b / (1244160 * x**4)
    return y


def gamma_slope_far(x: Array, z: Array) -> Array:
    """Rice's saddle point expansion for large x."""
    size, log = np.sqrt(8 * x), np.log(z / x)
    gap = x - z
    term = size / gap - np.sign(gap) * (z - x - x * log) ** -1.5
    term = log * term - np.sqrt(2 / x) * (x + z) / gap**2
    stirling = 1 + (1 + 1 / (24 * x)) / (12 * x)
    y: Array = -stirling * z * term / size
    return y


GAMMA_SLOPE = (
    (0.16009398, -0.094634809, 0.025146376, -0.0030648343, 1.0, 0.32668115, 0.10406089,
     0.0014179084),
    (0.53487893, 0.1298071, 0.065735949, -0.0015649758, 0.16639465, 0.020070113,
     -0.0035938915, -0.00058392623),
    (0.040121004, -0.0065914022, -0.0026286047, -0.0013441777, 0.017050642,
     -0.0021309326, 0.00085092367, -1.5247877e-07),
)  # fmt: skip


def gamma_slope_between(x: Array, z: Array) -> Array:
    """A rational function of log(z / x) and log(x), fitted."""
    u, v = np.log(z / x), np.log(x)
    terms = [a + u * (b + u * c) for a, b, c in zip(*GAMMA_SLOPE, strict=True)]
    p = terms[0] + v * (terms[1] + v * (terms[2] + v * terms[3]))
    q = terms[4] + v * (terms[5] + v * (terms[6] + v * terms[7]))
    y: Array = np.exp(p / q)
    return y
