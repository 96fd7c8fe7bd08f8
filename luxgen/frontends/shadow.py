"""Shadow numbers: ints and floats that remember which shapes they came from.

A traced run stays a real eager run; a size read from a tensor is an `int` that
carries its expression (a `Dim`), arithmetic builds it further, and comparisons are
logged as guards, since they may steer the model's Python.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from luxgen.ir.values import Dim, Value


@dataclass(frozen=True)
class Compared:
    """A comparison of shadow numbers and how it came out."""

    dim: Dim
    outcome: bool


class Log:
    """Where guards go; off while torch's own code runs."""

    sink: Callable[[Compared], None] | None = None

    @classmethod
    def add(cls, dim: Dim, outcome: bool) -> None:
        if cls.sink is not None:
            cls.sink(Compared(dim, outcome))


@contextmanager
def guards_to(sink: Callable[[Compared], None] | None) -> Iterator[None]:
    before, Log.sink = Log.sink, sink
    try:
        yield
    finally:
        Log.sink = before


def expression(number: Any) -> Any:
    """The Dim behind a shadow number; any other number is itself."""
    return number.dim if isinstance(number, (ShadowInt, ShadowFloat)) else number


def shadow(value: Any, text: str, *args: Any) -> Any:
    """`value` with the expression `text` over `args` behind it."""
    dim_args = tuple(expression(a) for a in args)
    if type(value) is int:
        number: Any = ShadowInt(value)
    elif type(value) is float:
        number = ShadowFloat(value)
    else:
        return value
    number.dim = Dim(text, dim_args, value)
    return number


def size_of(value: Value, axis: int) -> Any:
    return shadow(value.shape[axis], f"_0.shape[{axis}]", value)


_BINARY: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "add": ("+", operator.add), "sub": ("-", operator.sub), "mul": ("*", operator.mul),
    "floordiv": ("//", operator.floordiv), "mod": ("%", operator.mod),
    "truediv": ("/", operator.truediv), "pow": ("**", operator.pow),
    "and": ("&", operator.and_), "or": ("|", operator.or_),
    "lshift": ("<<", operator.lshift), "rshift": (">>", operator.rshift),
}  # fmt: skip
_COMPARE: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "eq": ("==", operator.eq), "ne": ("!=", operator.ne), "lt": ("<", operator.lt),
    "le": ("<=", operator.le), "gt": (">", operator.gt), "ge": (">=", operator.ge),
}  # fmt: skip


def plain(number: Any) -> Any:
    """The number without its expression."""
    if isinstance(number, ShadowInt):
        return int.__int__(number)
    if isinstance(number, ShadowFloat):
        return float.__float__(number)
    return number


def _binary(symbol: str, apply: Callable[[Any, Any], Any], swap: bool) -> Any:
    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, (int, float)) or isinstance(other, bool):
            return NotImplemented
        left, right = (other, self) if swap else (self, other)
        return shadow(apply(plain(left), plain(right)), f"_0 {symbol} _1", left, right)

    return method


def _compare(symbol: str, apply: Callable[[Any, Any], bool]) -> Any:
    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, (int, float)):
            return NotImplemented
        outcome = apply(plain(self), plain(other))
        text = f"_0 {symbol} _1"
        Log.add(Dim(text, (expression(self), expression(other)), int(outcome)), outcome)
        return outcome

    return method


class _Number:
    dim: Dim

    def __bool__(self) -> bool:
        outcome = bool(plain(self))
        Log.add(Dim("_0 != 0", (self.dim,), int(outcome)), outcome)
        return outcome

    def __neg__(self) -> Any:
        return shadow(-plain(self), "-_0", self)

    def __abs__(self) -> Any:
        return shadow(abs(plain(self)), "abs(_0)", self)

    def __ceil__(self) -> Any:
        return shadow(math.ceil(plain(self)), "math.ceil(_0)", self)

    def __floor__(self) -> Any:
        return shadow(math.floor(plain(self)), "math.floor(_0)", self)

    def __round__(self, digits: int | None = None) -> Any:
        if digits is None:
            return shadow(round(plain(self)), "round(_0)", self)
        return shadow(round(plain(self), digits), "round(_0, _1)", self, digits)

    def __trunc__(self) -> Any:
        return shadow(int(plain(self)), "int(_0)", self)

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __reduce__(self) -> Any:
        return (type(plain(self)), (plain(self),))


class ShadowInt(_Number, int):  # type: ignore[misc]  # __round__ keeps the expression
    __hash__ = int.__hash__

    def __index__(self) -> int:
        return int.__int__(self)


class ShadowFloat(_Number, float):  # type: ignore[misc]
    __hash__ = float.__hash__


for _name, (_symbol, _apply) in _BINARY.items():
    for _class in (ShadowInt, ShadowFloat):
        setattr(_class, f"__{_name}__", _binary(_symbol, _apply, swap=False))
        setattr(_class, f"__r{_name}__", _binary(_symbol, _apply, swap=True))
for _name, (_symbol, _test) in _COMPARE.items():
    for _class in (ShadowInt, ShadowFloat):
        setattr(_class, f"__{_name}__", _compare(_symbol, _test))
