"""The IR: functions of ops, calls, branches and loops over a tree of leaves.

A Program is a list of Functions, one per distinct module, the last one the model's
own. Leaves are named by their path below the function's module; `ps` and `st` trees
are described by `luxgen.ir.tree`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from luxgen.ir.tree import Tree
from luxgen.ir.values import Arg, Dim, Leaf, Node, Value, atoms

Path = tuple[str, ...]
Line = tuple[str, int]


@dataclass(eq=False, slots=True)
class Op:
    """One op: bound arguments, results, where it came from.

    `result` has the structure that torch returns, with a Value for each tensor;
    `state` is the path in `st` of the state it reads and replaces, if any, of class
    `kind`; `owner` names the torch.nn layer the op belongs to, for reports, and
    `closes` says that its result is the layer's.
    """

    name: str
    args: dict[str, Arg]
    result: Arg
    overload: str = ""
    state: Path | None = None
    kind: str = ""
    owner: str = ""
    closes: bool = False
    line: Line = ("", 0)
    stops: bool = False  # run under torch.no_grad: gradients end here

    @property
    def outs(self) -> tuple[Value, ...]:
        return tuple(a for a in atoms(self.result) if isinstance(a, Value))


@dataclass(eq=False, slots=True)
class Write:
    """A buffer's new value, at the end of the call that changed it."""

    path: Path
    value: Arg


@dataclass(eq=False, slots=True)
class Guard:
    """A condition on sizes that held while tracing and steered the model's Python."""

    condition: Dim
    outcome: bool
    line: Line = ("", 0)


@dataclass(frozen=True, slots=True)
class Present:
    """Whether the child at `path` is there, in the trees named by `kinds`."""

    path: Path
    kinds: tuple[str, ...]


@dataclass(eq=False, slots=True)
class Branch:
    """`if training: ... else: ...`; each join is a value and what it is on each side.

    With a `condition` it asks whether an optional child is there, not the mode.
    """

    training: list[Item]
    testing: list[Item]
    joins: list[tuple[Value, Arg, Arg]] = field(default_factory=list)
    outer: Path = ()  # the module whose mode is asked
    condition: Present | None = None


@dataclass(eq=False, slots=True)
class Call:
    """A call of another function; `args` follow its parameters.

    With a `pullback` the callee is a function that also returns one: this value.
    """

    function: Function
    path: Path
    args: list[Arg]
    result: Arg
    options: dict[str, Arg] = field(default_factory=dict)
    line: Line = ("", 0)
    stops: bool = False  # run under torch.no_grad: gradients end here
    pullback: Value | None = None

    @property
    def outs(self) -> tuple[Value, ...]:
        made = tuple(a for a in atoms(self.result) if isinstance(a, Value))
        return made if self.pullback is None else (*made, self.pullback)


@dataclass(eq=False, slots=True)
class Loop:
    """`body` once for each element of the tuple at `path`, from `start` to `stop`.

    In the body, paths that begin with `path` hold "*" for the index. `carried` lists
    (value inside, value before the loop, value at the end of the body, result).
    For the way back, the values in `saved` are kept for each iteration on the `tape`.
    """

    path: Path
    start: int
    stop: int
    body: list[Item]
    carried: list[tuple[Value, Arg, Arg, Value]]
    saved: list[Arg] = field(default_factory=list)
    tape: Value | None = None


@dataclass(eq=False, slots=True)
class Pull:
    """The way back through an earlier Call: cotangents in, cotangents out.

    `given` follows the pullback's params, `results` its outs; `tree` is the cotangent
    of the callee's `ps` at `path`.
    """

    function: Function
    pullback: Arg
    path: Path
    given: list[Arg]
    results: list[Value]
    tree: Value | None
    line: Line = ("", 0)

    @property
    def outs(self) -> tuple[Value, ...]:
        return (*self.results, *(() if self.tree is None else (self.tree,)))


Cotangents = dict[Path, Arg]
"""Cotangents of leaves and of whole nodes of `ps`, by path; no path is below another."""


@dataclass(eq=False, slots=True)
class Unwind:
    """A Loop's way back, over its tape from the last iteration to the first.

    `saved` are the values inside that the tape gives, in the order of the loop's own;
    `carried` is as a Loop's. `leaves` are cotangents of the element's leaves, gathered
    for all elements in the result `trees`.
    """

    loop: Loop
    tape: Arg
    saved: list[Value]
    body: list[Item]
    carried: list[tuple[Value, Arg, Arg, Value]]
    leaves: Cotangents = field(default_factory=dict)
    trees: Value | None = None


Item = Op | Call | Branch | Loop | Write | Guard | Pull | Unwind


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter: its name, and the Value or container of Values it brings."""

    name: str
    arg: Arg
    required: bool = True


@dataclass(eq=False)
class Pullback:
    """A function's way back: cotangents of its results -> those of what it was given.

    `params` are the cotangents of the values `of` in the function's result; `results`
    are the cotangents of the parameters' values `outs`, and `ps` those of its leaves.
    `like` maps each cotangent that has a name to the value that it is named after.
    """

    of: list[Value]
    params: list[Value]
    body: list[Item]
    outs: list[Value]
    results: list[Arg]
    ps: Cotangents | None
    like: dict[Value, Arg] = field(default_factory=dict)


@dataclass(eq=False)
class Function:
    """One module's forward. `options`: constants that differ between its calls, all
    values of each.
    """

    class_name: str
    path: Path
    params: list[Param]
    body: list[Item]
    result: Arg
    names: dict[Any, list[str]]
    doc: str = ""
    options: dict[str, list[Any]] = field(default_factory=dict)
    name: str = ""
    call: int = 0
    reads_ps: bool = False
    reads_st: bool = False
    updates: bool = False
    complete: bool = False  # its own instance has every optional child
    pullback: Pullback | None = None
    plain: Function | None = None  # the same without its pullback


@dataclass(eq=False)
class Program:
    """Functions in the order of their definition; the last is the model's own.

    `frees` names the sizes that stay free, by their value in both traces; `tied`
    maps each further state_dict name of a leaf to its first one; `layers` are the
    model's children and how torch prints them, for the module's table; `unsaved`
    names the buffers and constants that state_dict leaves out. `vjps` are the functions
    with a pullback, in the order of their definition; empty without gradients.
    `frozen` are parameters that the source doesn't train (requires_grad=False).
    """

    functions: list[Function]
    name: str
    ps: Tree
    st: Tree
    frees: dict[tuple[int, int], str] = field(default_factory=dict)
    tied: dict[str, str] = field(default_factory=dict)
    layers: tuple[tuple[str, str], ...] = ()
    unsaved: frozenset[str] = frozenset()
    frozen: tuple[str, ...] = ()
    vjps: list[Function] = field(default_factory=list)

    @property
    def main(self) -> Function:
        return self.functions[-1]


def items_in(items: list[Item]) -> Iterator[Item]:
    """Every item, those of branches and loops included, in order."""
    for item in items:
        yield item
        if isinstance(item, Branch):
            yield from items_in(item.training)
            yield from items_in(item.testing)
        elif isinstance(item, (Loop, Unwind)):
            yield from items_in(item.body)


def args_of(item: Item) -> Iterator[Arg]:
    """The atoms an item reads, without those inside its own items."""
    if isinstance(item, Op):
        yield from atoms(tuple(item.args.values()))
    elif isinstance(item, Call):
        yield from atoms((item.args, tuple(item.options.values())))
    elif isinstance(item, Write):
        yield from atoms(item.value)
    elif isinstance(item, Guard):
        yield from atoms(item.condition)
    elif isinstance(item, Branch):
        for _, training, testing in item.joins:
            yield from atoms((training, testing))
    elif isinstance(item, Pull):
        yield from atoms((item.pullback, item.given))
    else:
        for _, before, after, _ in item.carried:
            yield from atoms((before, after))
        if isinstance(item, Unwind):
            yield from atoms((item.tape, tuple(item.leaves.values())))
        else:
            yield from atoms(item.saved)


def outs_of(item: Item) -> tuple[Value, ...]:
    """The values an item defines for those after it."""
    if isinstance(item, (Op, Call, Pull)):
        return item.outs
    if isinstance(item, Branch):
        return tuple(value for value, _, _ in item.joins)
    if isinstance(item, (Loop, Unwind)):
        more = item.tape if isinstance(item, Loop) else item.trees
        made = tuple(result for *_, result in item.carried)
        return (*made, more) if isinstance(more, Value) else made
    return ()


__all__ = [
    "Arg", "Branch", "Call", "Cotangents", "Dim", "Function", "Guard", "Item", "Leaf",
    "Loop", "Node", "Op", "Param", "Path", "Program", "Pull", "Pullback", "Unwind",
    "Value", "Write", "args_of", "items_in", "outs_of",
]  # fmt: skip
