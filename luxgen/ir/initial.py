"""What a model's constructor drew, filled and computed: the data of `setup`.

The nodes are values in the order in which the constructor made them; a node refers
to earlier ones only. In-place ops are gone: a write makes a new value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Scalar = bool | int | float | complex
Arg = Any
"""A Ref, a Scalar, a str, None, or a tuple of them."""


class Ref(NamedTuple):
    """The node with this number."""

    node: int


class Span(NamedTuple):
    """A slice in an index (slices aren't hashable before Python 3.12)."""

    start: int
    stop: int
    step: int


class Reshape(NamedTuple):
    shape: tuple[int, ...]


class Permute(NamedTuple):
    dims: tuple[int, ...]


class Pick(NamedTuple):
    """Index: an int, a Span, None for a new axis, or a Ref to an index array."""

    items: tuple[int | Span | Ref | None, ...]


class Spread(NamedTuple):
    """Broadcast to `shape`."""

    shape: tuple[int, ...]


Step = Reshape | Permute | Pick | Spread
Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """Random values, in memory order; `words` of 32 bits are taken from the stream.

    Kinds and their `args`: "uniform" (low, high); "normal" and "few_normals" (mean,
    std): 16 and more values in one block of memory, or the path of all others;
    "truncated" (kind, mean, std, low, high); "bernoulli" (p, double): a Scalar p or a
    Ref; "integers" (low, high); "permutation" (); "exponential" (rate,); "unknown"
    (op,): only `words` are known. `words` is None if what is drawn decides.
    """

    kind: str
    args: tuple[Arg, ...]
    shape: tuple[int, ...]
    dtype: str
    words: int | None


@dataclass(frozen=True, slots=True)
class Fill:
    """One value throughout; None is memory never written."""

    value: Scalar | None
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A small tensor made from Python numbers, flattened."""

    values: tuple[Scalar, ...]
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that can't be retraced, and why."""

    reason: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Call:
    """A pure op by its aten name, with aten's argument names; one of its outputs."""

    op: str
    args: tuple[tuple[str, Arg], ...]
    output: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Read:
    """A view of `base`, step by step."""

    base: Ref
    path: Path
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Write:
    """`base` with `value` written through the view that `path` is."""

    base: Ref
    path: Path
    value: Ref | Scalar
    shape: tuple[int, ...]
    dtype: str


Node = Draw | Fill | Literal | Opaque | Call | Read | Write


@dataclass(frozen=True, slots=True)
class InitProgram:
    """How every parameter and buffer got its first value.

    `leaves`: the value of each state_dict name (and of each buffer that isn't
    persistent); tied names refer to the same node. `stored`: the names that can't be
    retraced, and why. `drawn_into`: the names whose memory a draw once filled.
    """

    nodes: tuple[Node, ...]
    leaves: Mapping[str, Ref]
    stored: Mapping[str, str]
    drawn_into: Mapping[int, tuple[str, ...]]


def operands(node: Node) -> Iterator[int]:
    """The numbers of the nodes that `node` reads."""
    if isinstance(node, (Draw, Call)):
        yield from _refs(node.args)
    elif isinstance(node, Read):
        yield from _refs((node.base, node.path))
    elif isinstance(node, Write):
        yield from _refs((node.base, node.path, node.value))


def _refs(arg: Arg) -> Iterator[int]:
    if isinstance(arg, Ref):
        yield arg.node
    elif isinstance(arg, tuple):
        for item in arg:
            yield from _refs(item)


def reach(nodes: tuple[Node, ...], roots: Iterator[int] | list[int]) -> set[int]:
    """The numbers of `roots` and of all nodes they are made from."""
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        number = stack.pop()
        if number not in seen:
            seen.add(number)
            stack.extend(operands(nodes[number]))
    return seen
