"""Values of the IR: what an op reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Arg = Any
"""A Value, Leaf or Dim, a Python constant, or a tuple, list, dict or slice of them."""


@dataclass(eq=False, slots=True)
class Value:
    """One SSA value: a tensor, or a Python int or float that a shape gave.

    `dtype` is NumPy's name, or "int"/"float" for Python scalars; `shape` the sizes
    seen in the first trace and `witness` those seen in the second (same rank), so
    that a size which differs between them is free. `names` are the local variables
    of the source that held the value, first one first.
    """

    dtype: str
    shape: tuple[int, ...] = ()
    witness: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def ndim(self) -> int:
        return len(self.shape)


@dataclass(eq=False, slots=True)
class Either(Value):
    """A result whose structure depends on the mode: what it is in each."""

    training: Arg = None
    testing: Arg = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """A parameter or buffer, read from `ps` or `st` by its path in the module tree."""

    path: tuple[str, ...]
    kind: str  # "ps" or "st"
    dtype: str
    shape: tuple[int, ...]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def witness(self) -> tuple[int, ...]:
        return self.shape


@dataclass(frozen=True, slots=True)
class Dim:
    """A Python number computed from shapes: a template over `args`, seen as `value`.

    `text` is a Python expression with placeholders `_0`, `_1` ... for `args`; the
    leaves are `_0.shape[k]` of a Value. `witness` is its value in the second trace
    (None before that ran). `dtype` is "int" or "float".
    """

    text: str
    args: tuple[Arg, ...]
    value: int | float
    witness: int | float | None = None

    @property
    def fixed(self) -> bool:
        """The same in both traces: no free dim is in it."""
        return self.witness is None or self.value == self.witness

    @property
    def dtype(self) -> str:
        return "int" if isinstance(self.value, int) else "float"


@dataclass(frozen=True, slots=True)
class Node:
    """All leaves of one module at once: `ps.fc1` or `st.bn1`, as an op's argument."""

    path: tuple[str, ...]
    kind: str  # "ps" or "st"
    leaves: tuple[Leaf, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """A constant that its function takes as the keyword option `name`."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Structure:
    """A NamedTuple or dataclass in arguments or results: its name and fields."""

    name: str
    fields: tuple[tuple[str, Arg], ...]


def map_arg(visit: Callable[[Any], Any], arg: Arg) -> Arg:
    """Rebuild `arg` with `visit` applied to everything that isn't a container."""
    if type(arg) in (tuple, list):
        return type(arg)(map_arg(visit, item) for item in arg)
    if type(arg) is dict:
        return {key: map_arg(visit, item) for key, item in arg.items()}
    if type(arg) is slice:
        return slice(*(map_arg(visit, a) for a in (arg.start, arg.stop, arg.step)))
    if type(arg) is Structure:
        return Structure(arg.name, tuple((k, map_arg(visit, v)) for k, v in arg.fields))
    return visit(arg)


def atoms(arg: Arg) -> Iterator[Any]:
    """Every non-container inside `arg`, and what its Dims are made of."""
    if isinstance(arg, (tuple, list)):
        for item in arg:
            yield from atoms(item)
    elif isinstance(arg, dict):
        for item in arg.values():
            yield from atoms(item)
    elif isinstance(arg, slice):
        yield from atoms((arg.start, arg.stop, arg.step))
    elif isinstance(arg, Structure):
        for _, item in arg.fields:
            yield from atoms(item)
    else:
        yield arg
        if isinstance(arg, Dim):
            yield from atoms(arg.args)
