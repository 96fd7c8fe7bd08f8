"""Torch's CPU generator while a constructor runs: where it stands, what an op takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from luxgen.frontends.initial_storage import dtype_name, memory_order
from luxgen.ir.initial import Arg, Draw

STATE = 624  # words that MT19937 makes at a time
BLOCK = 16  # normals that are made at a time
WIDE = 2**28  # from this span on, an integer takes two words
_SEARCH = 1 << 24  # words to look ahead for the end of an unknown draw


@dataclass(frozen=True)
class Position:
    """The generator's state: MT19937's words, the next one, a normal kept back."""

    key: bytes
    next: int
    spare: bool

    @staticmethod
    def now() -> Position:
        """Read torch's default generator (ATen's CPUGeneratorImplStateLegacy)."""
        state = torch.default_generator.get_state().numpy().tobytes()
        left = int.from_bytes(state[8:12], "little")
        following = STATE if left == 1 else int.from_bytes(state[16:24], "little")
        end = 24 + 8 * STATE
        return Position(state[24:end], following, any(state[end + 24 : end + 28]))

    def after(self, words: int) -> int:
        """The next word's place once `words` more are taken."""
        return (self.next + words - 1) % STATE + 1

    def words_to(self, later: Position) -> int | None:
        """How many words were taken between the two, if they are on one stream."""
        random = np.random.RandomState()
        key = np.frombuffer(self.key, np.uint64).astype(np.uint32)
        target = np.frombuffer(later.key, np.uint64).astype(np.uint32)
        random.set_state(("MT19937", key, self.next, 0, 0.0))
        count, place = 0, self.next
        while not np.array_equal(
            random.get_state(legacy=False)["state"]["key"], target
        ):
            if count > _SEARCH:
                return None
            random.bytes(4 * (STATE + 1 - place))
            count, place = count + STATE + 1 - place, 1
        return count + later.next - place if later.next >= place else None


Described = tuple[str, tuple[Arg, ...]]
"""Kind and arguments of a Draw."""

Arguments = Mapping[str, Any]
"""A call's arguments by aten's names; tensors as Refs, or as numbers if uniform."""


def _uniform(args: Arguments) -> Described:
    return "uniform", (float(args.get("from", 0.0)), float(args.get("to", 1.0)))


def _normal(args: Arguments) -> Described:
    return "normal", (float(args.get("mean", 0.0)), float(args.get("std", 1.0)))


def _standard(args: Arguments) -> Described:
    return "normal", (0.0, 1.0)  # the caller scales


def _integers(args: Arguments) -> Described | None:
    low = args.get("low", args.get("from", 0))
    high = args.get("high", args.get("to"))
    return None if high is None else ("integers", (int(low), int(high)))


def _bernoulli(args: Arguments) -> Described:
    return "bernoulli", (args.get("p", 0.5), True)


def _permutation(args: Arguments) -> Described:
    return "permutation", ()


def _exponential(args: Arguments) -> Described:
    return "exponential", (float(args.get("lambd", 1.0)),)


# By op, or by op and overload.
DRAWS: dict[str, Callable[[Arguments], Described | None]] = {
    "uniform_": _uniform,
    "rand": _uniform,
    "rand_like": _uniform,
    "normal_": _normal,
    "normal.float_float": _normal,
    "normal.Tensor_float": _standard,
    "normal.float_Tensor": _standard,
    "normal.Tensor_Tensor": _standard,
    "randn": _normal,
    "randn_like": _normal,
    "randint": _integers,
    "randint_like": _integers,
    "random_": _integers,
    "bernoulli_.float": _bernoulli,
    "randperm": _permutation,
    "exponential_": _exponential,
}

# What these take from the stream depends on the values drawn.
VARIABLE = {"poisson", "binomial", "_standard_gamma", "_sample_dirichlet",
            "trunc_normal_"}  # fmt: skip

_REAL = {torch.complex64: torch.float32, torch.complex128: torch.float64}
_INTEGRAL = ("integers", "permutation")


def describe(
    name: str, overload: str, args: Arguments, tensor: torch.Tensor, spare: bool
) -> Draw | None:
    """The draw that fills `tensor`, in memory order; None if it isn't one we know.

    A complex tensor is drawn as its real and imaginary parts, in a last dim of 2.
    """
    row = DRAWS.get(f"{name}.{overload}") or DRAWS.get(name)
    described = row(args) if row else None
    if described is None:
        return None
    kind, values = described
    real = _REAL.get(tensor.dtype, tensor.dtype)
    shape = tuple(tensor.shape[d] for d in memory_order(tensor))
    if real != tensor.dtype:
        if kind not in ("normal", "uniform"):
            return None
        shape += (2,)
        if kind == "normal":
            values = (values[0], values[1] / math.sqrt(2))
    floating = real in _REAL.values()
    if kind in _INTEGRAL and (tensor.is_floating_point() or real == torch.bool):
        return None
    if kind not in (*_INTEGRAL, "bernoulli") and not floating:
        return None
    if kind == "normal":
        kind = normal_kind(shape, tensor.is_contiguous())
    return draw(kind, values, shape, dtype_name(real), spare)


def normal_kind(shape: tuple[int, ...], contiguous: bool) -> str:
    return "normal" if contiguous and math.prod(shape) >= BLOCK else "few_normals"


def draw(
    kind: str, args: tuple[Arg, ...], shape: tuple[int, ...], dtype: str, spare: bool
) -> Draw:
    """A Draw with the number of words that torch takes for it."""
    n = math.prod(shape)
    each = 2 if dtype == "float64" else 1
    words = {
        "uniform": n * each,
        "normal": (n + BLOCK * (n % BLOCK > 0)) * each,
        "few_normals": 4 * ((n - spare + 1) // 2) if n else 0,
        "permutation": max(n - 1, 0),
        "exponential": 2 * n,
    }
    if kind == "integers":
        count = n * (2 if args[1] - args[0] >= WIDE else 1)
    elif kind == "bernoulli":
        count = n * (2 if args[1] else 1)
    else:
        count = words[kind]
    return Draw(kind, args, shape, dtype, count)


def by_rejection(mean: float, std: float, low: float, high: float) -> bool:
    """Whether torch's `trunc_normal_` redraws normals: over 0.3 of them are kept."""
    below, above = ((x - mean) / std / math.sqrt(2) for x in (low, high))
    return (math.erf(above) - math.erf(below)) / 2 > 0.3


def cannot_truncate(normal: Draw, low: float, high: float) -> bool:
    """Whether the bounds are out of reach: a uniform u gives sqrt(-2 log u) at most."""
    mean, std = normal.args
    digits = 24 if (normal.kind, normal.dtype) == ("normal", "float32") else 53
    reach = 1.001 * std * math.sqrt(2 * digits * math.log(2))
    return bool(low <= mean - reach and mean + reach <= high)
