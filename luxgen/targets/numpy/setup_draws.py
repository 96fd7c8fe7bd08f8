"""How `setup` writes a draw: the helper's call, its numbers in their nicest form."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from luxgen.ir.initial import Draw, Ref

Shape = tuple[int, ...]

WIDE = 2**28  # from this span on, an integer takes two words

_FANS: dict[str, Callable[[Shape], int]] = {
    "fan_in({s})": lambda s: math.prod(s[1:]),
    "fan_out({s})": lambda s: s[0] * math.prod(s[2:]),
    "(fan_in({s}) + fan_out({s}))": lambda s: (
        math.prod(s[1:]) + s[0] * math.prod(s[2:])
    ),
}


@dataclass(frozen=True)
class Recipe:
    """`text`, an expression, with `k` for what `k` says where that isn't ""."""

    text: str
    k: str = ""


def affine_bound(draw: Draw, weight: Shape) -> bool:
    """Whether the draw is uniform within 1/sqrt(fan_in) of this weight's shape."""
    if draw.kind != "uniform" or draw.dtype != "float32" or math.prod(weight[1:]) == 0:
        return False
    k = math.prod(weight[1:]) ** -0.5
    low, high = draw.args
    return _same(low, -k, draw.dtype) and _same(high, k, draw.dtype)


def recipes(
    draw: Draw, shape: str, leaf: Shape | None, show: Callable[[Ref], str]
) -> list[Recipe]:
    """The ways to write it, best first; `shape` is the text of its shape.

    `leaf` is given where the draw fills a leaf of that shape: then its numbers may
    follow from the shape.
    """
    low, high = (draw.args + (None, None))[:2]
    double = draw.dtype == "float64"
    wide = ", double=True" if double else ""
    if draw.kind == "uniform":
        function = "draw_uniform64" if double else "draw_uniform"
        if low == -high:
            k = [Recipe(f"{function}(bits, {shape}, -k, k)", text)
                 for text in scales(high, draw, leaf, shape)
                 if not _is_number(text)]  # fmt: skip
            plain = Recipe(f"{function}(bits, {shape}, {low!r}, {high!r})")
            return [plain, *k] if _is_short(high) else [*k, plain]
        return [Recipe(f"{function}(bits, {shape}, {low!r}, {high!r})")]
    if draw.kind in ("normal", "few_normals"):
        return [
            Recipe(_normal(draw.kind, shape, low, std) + wide + ")")
            for std in scales(high, draw, leaf, shape)
        ]
    if draw.kind == "truncated":
        kind, mean, std, below, above = draw.args
        spare = ", spare=spare" if kind == "few_normals" else ""
        return [
            Recipe(
                f"draw_truncated(bits, {shape}, {below!r}, {above!r}"
                + _options(mean, text) + wide + spare + ")"
            )
            for text in scales(std, draw, leaf, shape)
        ]  # fmt: skip
    return [Recipe(_other(draw, shape, show))]


def _other(draw: Draw, shape: str, show: Callable[[Ref], str]) -> str:
    if draw.kind == "integers":
        low, high = draw.args
        wide = ", wide=True" if high - low >= WIDE else ""
        text = f"draw_integers(bits, {shape}, {low}, {high}{wide})"
        return text if draw.dtype == "int64" else f"{text}.astype(np.{draw.dtype})"
    if draw.kind == "permutation":
        text = f"draw_permutation(bits, {draw.shape[0]})"
        return text if draw.dtype == "int64" else f"{text}.astype(np.{draw.dtype})"
    if draw.kind == "bernoulli":
        p, double = draw.args
        unit = f"draw_unit(bits, {shape}{', double=True' if double else ''})"
        chance = show(p) if isinstance(p, Ref) else repr(p)
        return f"({unit} < {chance}).astype(np.{draw.dtype})"
    assert draw.kind == "exponential"
    unit = f"draw_unit(bits, {shape}, double=True)"
    (rate,) = draw.args
    text = f"-np.log1p(-{unit})" if rate == 1 else f"-np.log1p(-{unit}) / {rate!r}"
    return f"({text}).astype(np.{draw.dtype})"


def _normal(kind: str, shape: str, mean: float, std: str) -> str:
    start = (
        "draw_normal(bits, " if kind == "normal" else "draw_few_normals(bits, spare, "
    )
    return start + shape + _options(mean, std)


def _options(mean: float, std: str) -> str:
    first = "" if mean == 0 else f", mean={mean!r}"
    return first + ("" if std == "1.0" else f", std={std}")


def scales(value: float, draw: Draw, leaf: Shape | None, shape: str) -> Iterator[str]:
    """Texts that give `value`, exactly as torch uses it: short numbers come first."""
    coarse = draw.dtype == "float32" and draw.kind in ("uniform", "normal")
    dtype = "float32" if coarse else "float64"
    if _is_short(value):
        yield repr(value)
    ways = list(_of_fans(value, leaf, shape, dtype)) if leaf else []
    yield from (text for rank, text in ways if rank < 2)
    roots: list[tuple[int, str]] = []
    for unit, prefix in ((1.0, ""), (0.02, "0.02 * ")):
        n = round((unit / value) ** 2) if value > 1e-4 else 0
        if 1 < n <= 10**6 and _same(value, unit * n**-0.5, dtype):
            roots.append((n, f"{prefix}{n} ** -0.5"))
    yield from (text for _, text in sorted(roots))
    yield from (text for rank, text in ways if rank == 2)
    if not _is_short(value):
        yield repr(value)


def _of_fans(
    value: float, leaf: Shape, shape: str, dtype: str
) -> list[tuple[int, str]]:
    if len(leaf) < 2 or not math.prod(leaf):
        return []
    ways = [
        way
        for text, fan in _FANS.items()
        for way in _of_fan(value, text.format(s=shape), fan(leaf), dtype)
    ]
    return sorted(ways, key=lambda way: way[0])


def _of_fan(value: float, text: str, fan: int, dtype: str) -> Iterator[tuple[int, str]]:
    """`value` as the root of a simple fraction over the fan; usual ones first."""
    ratio = Fraction(value * value * fan).limit_denominator(64)
    p, q = ratio.numerator, ratio.denominator
    if not 0 < p <= 64:
        return
    usual = (1, 2, 6) if text.startswith("fan") else (2, 6)
    rank = 0 if ratio in usual else 1 if q == 1 else 2
    if ratio == 1 and _same(value, fan**-0.5, dtype):
        yield rank, f"{text} ** -0.5"
    elif _same(value, (p / q / fan) ** 0.5, dtype):
        over = f"{p} / {q}" if q > 1 else f"{p}"
        yield rank, f"({over} / {text}) ** 0.5"
    elif value == 3**0.5 * ((p / (3 * q)) ** 0.5 / fan**0.5):  # kaiming_uniform_
        yield rank, f"3**0.5 * (({p} / {3 * q}) ** 0.5 / {text} ** 0.5)"
    elif value == (p / (2 * q)) ** 0.5 * (2 / fan) ** 0.5:  # xavier_normal_
        yield rank, f"({p} / {2 * q}) ** 0.5 * (2 / {text}) ** 0.5"
    elif value == 3**0.5 * ((p / (6 * q)) ** 0.5 * (2 / fan) ** 0.5):  # xavier_uniform_
        yield rank, f"3**0.5 * (({p} / {6 * q}) ** 0.5 * (2 / {text}) ** 0.5)"


def _same(a: float, b: float, dtype: str) -> bool:
    return bool(np.dtype(dtype).type(a) == np.dtype(dtype).type(b))


def _is_short(value: float) -> bool:
    return len(repr(value)) <= 6


def _is_number(text: str) -> bool:
    return " " not in text and "(" not in text
