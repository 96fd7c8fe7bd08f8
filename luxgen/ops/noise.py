"""Random numbers drawn inside forward: a pure function of (seed, step)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from luxgen.ops.softmax import softmax
from luxgen.ops.types import Array


class NoiseState(NamedTuple):
    seed: int
    step: int = 0  # (seed, step) determines the next draw


def generator(seed: int, step: int) -> np.random.Generator:
    """A stream of its own for each step: the step is the counter's top word."""
    bits = np.random.Philox(key=seed, counter=[0, 0, 0, step])
    return np.random.Generator(bits)


def rand(
    st: NoiseState, shape: tuple[int, ...], dtype: DTypeLike = np.float32
) -> tuple[Array, NoiseState]:
    """Uniform in [0, 1), in steps of 2^-24: no rounding gives 1."""
    y = generator(st.seed, st.step).random(shape, dtype=np.float32)
    return y.astype(dtype), st._replace(step=st.step + 1)


def randn(
    st: NoiseState, shape: tuple[int, ...], dtype: DTypeLike = np.float32
) -> tuple[Array, NoiseState]:
    """Standard normal."""
    y = generator(st.seed, st.step).standard_normal(shape)
    return y.astype(dtype), st._replace(step=st.step + 1)


def randint(
    st: NoiseState,
    low: int,
    high: int,
    shape: tuple[int, ...],
    dtype: DTypeLike = np.int64,
) -> tuple[Array, NoiseState]:
    """Integers in [low, high)."""
    y = generator(st.seed, st.step).integers(low, high, shape)
    return y.astype(dtype), st._replace(step=st.step + 1)


def randperm(
    st: NoiseState, n: int, dtype: DTypeLike = np.int64
) -> tuple[Array, NoiseState]:
    """0 ... n - 1 in random order."""
    y = generator(st.seed, st.step).permutation(n)
    return y.astype(dtype), st._replace(step=st.step + 1)


def uniform(
    st: NoiseState,
    low: float,
    high: float,
    shape: tuple[int, ...],
    dtype: DTypeLike = np.float32,
) -> tuple[Array, NoiseState]:
    """Uniform in [low, high)."""
    y, st = rand(st, shape, dtype)
    return low + (high - low) * y, st


def normal(
    st: NoiseState,
    mean: Array | float,
    std: Array | float,
    shape: tuple[int, ...],
    dtype: DTypeLike = np.float32,
) -> tuple[Array, NoiseState]:
    """Normal of the mean and standard deviation given, per element or for all."""
    y, st = randn(st, shape, dtype)
    return y * std + mean, st


def log_normal(
    st: NoiseState,
    mean: float,
    std: float,
    shape: tuple[int, ...],
    dtype: DTypeLike = np.float32,
) -> tuple[Array, NoiseState]:
    """exp of a normal."""
    y, st = normal(st, mean, std, shape, dtype)
    return np.exp(y), st


def exponential(
    st: NoiseState, lambd: float, shape: tuple[int, ...], dtype: DTypeLike = np.float32
) -> tuple[Array, NoiseState]:
    """Exponential of rate lambd."""
    y = generator(st.seed, st.step).standard_exponential(shape) / lambd
    return y.astype(dtype), st._replace(step=st.step + 1)


def cauchy(
    st: NoiseState,
    median: float,
    sigma: float,
    shape: tuple[int, ...],
    dtype: DTypeLike = np.float32,
) -> tuple[Array, NoiseState]:
    """Cauchy about median with half width sigma."""
    y = median + sigma * generator(st.seed, st.step).standard_cauchy(shape)
    return y.astype(dtype), st._replace(step=st.step + 1)


def geometric(
    st: NoiseState, p: float, shape: tuple[int, ...], dtype: DTypeLike = np.float32
) -> tuple[Array, NoiseState]:
    """Number of trials up to the first success of probability p."""
    y = generator(st.seed, st.step).geometric(p, shape)
    return y.astype(dtype), st._replace(step=st.step + 1)


def bernoulli(
    st: NoiseState,
    p: Array | float,
    shape: tuple[int, ...],
    dtype: DTypeLike = np.float32,
) -> tuple[Array, NoiseState]:
    """1 with probability p, else 0."""
    y = generator(st.seed, st.step).random(shape, dtype=np.float32) < p
    return y.astype(dtype), st._replace(step=st.step + 1)


def poisson(x: Array, st: NoiseState) -> tuple[Array, NoiseState]:
    """Counts of rates x."""
    y = generator(st.seed, st.step).poisson(x)
    return np.asarray(y, x.dtype), st._replace(step=st.step + 1)


def binomial(count: Array, prob: Array, st: NoiseState) -> tuple[Array, NoiseState]:
    """Numbers of successes in count trials of probability prob."""
    y = generator(st.seed, st.step).binomial(count.astype(np.int64), prob)
    return np.asarray(y, count.dtype), st._replace(step=st.step + 1)


def standard_gamma(x: Array, st: NoiseState) -> tuple[Array, NoiseState]:
    """Gamma of the shape parameters x and rate 1."""
    y = generator(st.seed, st.step).standard_gamma(x)
    return np.asarray(y, x.dtype), st._replace(step=st.step + 1)


def dirichlet(x: Array, st: NoiseState) -> tuple[Array, NoiseState]:
    """Dirichlet of the concentrations x along the last axis."""
    y, st = standard_gamma(x, st)
    return y / y.sum(axis=-1, keepdims=True), st


def multinomial(
    x: Array, st: NoiseState, *, num_samples: int, replacement: bool = False
) -> tuple[Array, NoiseState]:
    """Indices drawn by the weights x (..., n), without replacement in drawn order."""
    draw = generator(st.seed, st.step)
    if replacement:
        ends = np.cumsum(x, axis=-1, dtype=np.float64)
        u = draw.random((*x.shape[:-1], num_samples)) * ends[..., -1:]
        y = (u[..., None] >= ends[..., None, :]).sum(axis=-1)
    else:  # the first arrivals of Poisson processes of rates x
        with np.errstate(divide="ignore"):  # weight 0 arrives never
            arrival = draw.standard_exponential(x.shape) / x
        y = np.argsort(arrival, axis=-1)[..., :num_samples]
    return y, st._replace(step=st.step + 1)


def gumbel_softmax(
    logits: Array,
    st: NoiseState,
    *,
    tau: float = 1.0,
    hard: bool = False,
    dim: int = -1,
) -> tuple[Array, NoiseState]:
    """Softmax of logits / tau with Gumbel noise; `hard`: 1 at its largest, else 0."""
    gumbel = generator(st.seed, st.step).gumbel(size=logits.shape).astype(logits.dtype)
    y = softmax((logits + gumbel) / tau, dim)
    if hard:
        top = np.expand_dims(y.argmax(axis=dim), dim)
        y = np.zeros_like(y)
        np.put_along_axis(y, top, 1, axis=dim)
    return y, st._replace(step=st.step + 1)
