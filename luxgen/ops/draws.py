"""Torch's CPU random numbers, made from a stream of 32-bit words: what `setup` draws.

The words come from `bits`: `np.random.RandomState(seed)` repeats torch's stream after
`torch.manual_seed(seed)`; a Generator gives other numbers of the same distributions.
Uniforms equal torch's bit for bit. Normals differ by the last bits of log, sin and
cos. Source: ATen/core/DistributionsHelper.h, ATen/native/cpu/DistributionTemplates.h.
"""

import math
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np

from luxgen.ops.types import Array

Bits: TypeAlias = np.random.RandomState | np.random.Generator


def draw_words(bits: Bits, n: int) -> Array:
    return np.frombuffer(bits.bytes(4 * n) if n else b"", "<u4")


def skip_words(bits: Bits, n: int) -> None:
    """Pass over n words that the constructor drew for values it then replaced."""
    for start in range(0, n, 1 << 20):
        bits.bytes(4 * min(n - start, 1 << 20))


def draw_unit(bits: Bits, shape: Iterable[int], *, double: bool = False) -> Array:
    """Uniform in [0, 1): float32 from one word's 24 low bits, float64 from two's 53."""
    if double:
        high, low = draw_words(bits, 2 * math.prod(shape)).reshape(-1, 2).T
        unit: Array = high % 2**21 * 2.0**-21 + low * 2.0**-53
    else:
        word = draw_words(bits, math.prod(shape)) & 0xFFFFFF
        unit = word.astype(np.float32) * np.float32(2**-24)
    return unit.reshape(tuple(shape))


def draw_uniform(bits: Bits, shape: Iterable[int], low: float, high: float) -> Array:
    """Uniform float32 in [low, high): rounded once, and `low` where that gives high."""
    first, last = np.float32(low), np.float32(high)
    unit = draw_unit(bits, shape).astype(np.float64)
    y = (unit * float(last - first) + float(first)).astype(np.float32)
    return np.where(y < last, y, first)


def draw_uniform64(bits: Bits, shape: Iterable[int], low: float, high: float) -> Array:
    """Uniform float64 in [low, high): a * b + low, rounded once (Dekker)."""
    a, b = draw_unit(bits, shape, double=True), high - low
    a1, b1 = (x * 134217729.0 - (x * 134217729.0 - x) for x in (a, b))  # top halves
    a2, b2 = a - a1, b - b1
    y: Array = a * b
    error = a1 * b1 - y + a1 * b2 + a2 * b1 + a2 * b2
    total: Array = y + low
    error += y - (total - (total - y)) + (low - (total - y))
    total += error
    return np.where(total < high, total, low)


def draw_normal(
    bits: Bits,
    shape: Iterable[int],
    *,
    mean: float = 0.0,
    std: float = 1.0,
    double: bool = False,
) -> Array:
    """16 or more normals: Box-Muller on blocks of 16; a ragged end redraws the last."""
    n = math.prod(shape)
    unit = draw_unit(bits, (n + 16 * (n % 16 > 0),), double=double)
    blocks = np.concatenate((unit[: n - n % 16], unit[n:])).reshape(-1, 2, 8)
    radius = np.sqrt(-2 * np.log(1 - blocks[:, 0]))
    angle = unit.dtype.type(2 * math.pi) * blocks[:, 1]
    x = np.stack((radius * np.cos(angle), radius * np.sin(angle)), 1).reshape(-1)
    x = np.concatenate((x[: n - 16], x[-16:])).reshape(tuple(shape))
    return x * std + mean


def draw_few_normals(
    bits: Bits,
    spare: list[float],
    shape: Iterable[int],
    *,
    mean: float = 0.0,
    std: float = 1.0,
    double: bool = False,
) -> Array:
    """Normals in pairs, made in float64; `spare` keeps an odd one for the next call."""
    n = math.prod(shape)
    unit = draw_unit(bits, ((n - len(spare) + 1) // 2, 2), double=True)
    radius, angle = np.sqrt(-2 * np.log1p(-unit[:, 1])), 2 * math.pi * unit[:, 0]
    pairs = np.stack((radius * np.cos(angle), radius * np.sin(angle)), 1)
    x = np.concatenate((spare, pairs.reshape(-1)))
    spare[:] = x[n:].tolist()
    x = x[:n].reshape(tuple(shape)) * std + mean
    return x if double else x.astype(np.float32)


def draw_truncated(
    bits: Bits,
    shape: Iterable[int],
    low: float,
    high: float,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    double: bool = False,
    spare: list[float] | None = None,
) -> Array:
    """Normals, all drawn again until each was once within [low, high]."""

    def draw() -> Array:
        if spare is not None:
            return draw_few_normals(
                bits, spare, shape, mean=mean, std=std, double=double
            )
        return draw_normal(bits, shape, mean=mean, std=std, double=double)

    x = draw()
    while (outside := (x < low) | (x > high)).any():
        x = np.where(outside, draw(), x)
    return x


def draw_integers(
    bits: Bits, shape: Iterable[int], low: int, high: int, *, wide: bool = False
) -> Array:
    """Integers in [low, high); `wide` takes two words each, for spans from 2**28 on."""
    if wide:
        words = draw_words(bits, 2 * math.prod(shape)).astype(np.uint64).reshape(-1, 2)
        number = words[:, 0] << np.uint64(32) | words[:, 1]
    else:
        number = draw_words(bits, math.prod(shape)).astype(np.uint64)
    return (number % np.uint64(high - low)).astype(np.int64).reshape(tuple(shape)) + low


def draw_permutation(bits: Bits, n: int) -> Array:
    """0 ... n-1 in random order: Fisher-Yates from the front."""
    order = list(range(n))
    for i, word in enumerate(draw_words(bits, max(n - 1, 0)).tolist()):
        j = i + word % (n - i)
        order[i], order[j] = order[j], order[i]
    return np.array(order, np.int64)


def draw_affine(
    bits: Bits, shapes: Mapping[str, tuple[int, ...]], weights: Iterable[str]
) -> dict[str, Array]:
    """Linear and Conv layers: weight, then bias, uniform within 1/sqrt(fan_in)."""
    drawn = {}
    for weight in weights:
        k = math.prod(shapes[weight][1:]) ** -0.5
        for name in (weight, weight.removesuffix("weight") + "bias"):
            if name in shapes:
                drawn[name] = draw_uniform(bits, shapes[name], -k, k)
    return drawn


def fan_in(shape: tuple[int, ...]) -> int:
    return math.prod(shape[1:])


def fan_out(shape: tuple[int, ...]) -> int:
    return shape[0] * math.prod(shape[2:])
