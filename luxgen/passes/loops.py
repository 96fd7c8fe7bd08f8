"""Repeated steps over a ModuleList -> a loop over its tuple.

x = block(x, ps.h[0]); x = block(x, ps.h[1]); x = block(x, ps.h[2])
->  for each of ps.h: x = block(x, ps_h)
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from luxgen.ir.program import (
    Branch,
    Call,
    Function,
    Item,
    Loop,
    Op,
    Path,
    args_of,
    items_in,
    outs_of,
)
from luxgen.ir.values import (
    Arg,
    Dim,
    Leaf,
    Node,
    Option,
    Structure,
    Value,
    atoms,
    map_arg,
)
from luxgen.passes.fold import SIZES_MATTER, ones, pattern

LONGEST_BODY = 24
STAR = "*"


def roll(function: Function) -> None:
    """Roll every run of at least three equal steps over consecutive indices."""
    start = 0
    while start < len(function.body):
        found = next(
            (loop for period in range(1, LONGEST_BODY + 1)
             if (loop := _loop_at(function, start, period)) is not None),
            None,
        )  # fmt: skip
        if found is not None:
            rolled, count = found
            function.body[start : start + count] = [rolled]
        start += 1


def _loop_at(function: Function, start: int, period: int) -> tuple[Loop, int] | None:
    body = function.body
    first = body[start : start + period]
    if len(body) < start + 2 * period or any(
        isinstance(i, (Branch, Loop)) for i in first
    ):
        return None
    match: _Match | None = None
    windows = [first]
    while len(body) >= start + (len(windows) + 1) * period:
        at = start + len(windows) * period
        following = body[at : at + period]
        attempt = _Match(windows[0], windows[-1], len(windows))
        if not attempt.windows(following) or not attempt.consistent(match):
            break
        match = attempt.joined(match)
        windows.append(following)
    if match is None or match.path is None or len(windows) < 3:
        return None
    return _build(function, start, period, windows, match)


@dataclass
class _Match:
    """How window k + 1 follows from window k."""

    first: list[Item]
    previous: list[Item]
    step: int
    path: Path | None = None  # the container whose index moves
    start: int = 0
    twins: dict[Value, Value] = field(default_factory=dict)  # next -> previous
    carried: dict[Value, Value] = field(default_factory=dict)  # before -> end of body
    columns: dict[tuple[int, str], list[Any]] = field(default_factory=dict)
    firsts: dict[Value, Value] = field(
        default_factory=dict
    )  # `carried` of the first match

    def windows(self, following: list[Item]) -> bool:
        self.inner = {v for i in items_in(self.previous) for v in outs_of(i)}
        return all(
            self.item(k, a, b)
            for k, (a, b) in enumerate(zip(self.previous, following, strict=True))
        )

    def consistent(self, other: _Match | None) -> bool:
        if other is None:
            return True
        return self.path == other.path and set(self.carried) == set(
            other.carried.values()
        )

    def joined(self, other: _Match | None) -> _Match:
        if other is None:
            self.firsts = self.carried
            return self
        for key, column in self.columns.items():
            self.columns[key] = (
                other.columns.get(key, column[:1] * self.step) + column[1:]
            )
        for key, column in other.columns.items():
            self.columns.setdefault(key, column + column[-1:])
        self.start = other.start
        self.firsts = other.firsts
        return self

    def item(self, k: int, a: Item, b: Item) -> bool:
        if type(a) is not type(b):
            return False
        if isinstance(a, Op) and isinstance(b, Op):
            same = (
                a.name == b.name and a.kind == b.kind and a.args.keys() == b.args.keys()
            )
            if not same or not self.at_path(a.state, b.state):
                return False
            if a.stops != b.stops or ones(a) != ones(b):
                return False
            if a.name in SIZES_MATTER and pattern(a) != pattern(b):
                return False
            for name in a.args:
                if not self.arg(a.args[name], b.args[name], (k, name)):
                    return False
            return self.results(a.result, b.result)
        if isinstance(a, Call) and isinstance(b, Call):
            if a.function is not b.function or a.stops != b.stops:
                return False
            if not self.at_path(a.path, b.path):
                return False
            if not all(
                self.arg(x, y, None) for x, y in zip(a.args, b.args, strict=True)
            ):
                return False
            for name in a.options:
                if not self.arg(a.options[name], b.options[name], (k, name)):
                    return False
            return self.results(a.result, b.result)
        return False

    def results(self, a: Arg, b: Arg) -> bool:
        left = [v for v in atoms(a) if isinstance(v, Value)]
        right = [v for v in atoms(b) if isinstance(v, Value)]
        self.twins |= dict(zip(right, left, strict=False))
        return len(left) == len(right)

    def at_path(self, a: Path | None, b: Path | None) -> bool:
        """Equal paths, or paths that differ in one index that moved by one."""
        if a == b:
            return True
        if a is None or b is None or len(a) != len(b):
            return False
        depth = next(k for k in range(len(a)) if a[k] != b[k])
        if a[depth + 1 :] != b[depth + 1 :] or not (a[depth] + b[depth]).isdigit():
            return False
        if int(b[depth]) != int(a[depth]) + 1:
            return False
        if self.path is None:
            self.path, self.start = a[:depth], int(a[depth])
        return self.path == a[:depth] and self.start == int(a[depth])

    def arg(self, a: Arg, b: Arg, column: tuple[int, str] | None) -> bool:
        if isinstance(a, Value) and isinstance(b, Value):
            if self.twins.get(b) is a:
                return True
            if a is b:
                return a not in self.inner
            if b in self.inner:  # made by the step before: carried
                return self.carried.setdefault(a, b) is b
            return False
        if isinstance(a, Leaf) and isinstance(b, Leaf):
            return (
                a.kind == b.kind and a.dtype == b.dtype and self.at_path(a.path, b.path)
            )
        if isinstance(a, Node) and isinstance(b, Node):
            return a.kind == b.kind and self.at_path(a.path, b.path)
        if isinstance(a, Dim) and isinstance(b, Dim):
            return a.text == b.text and all(
                self.arg(x, y, None) for x, y in zip(a.args, b.args, strict=True)
            )
        if isinstance(a, (tuple, list)) and type(a) is type(b) and len(a) == len(b):
            if all(self.arg(x, y, None) for x, y in zip(a, b, strict=True)):
                return True
        elif isinstance(a, slice) and isinstance(b, slice):
            return self.arg((a.start, a.stop, a.step), (b.start, b.stop, b.step), None)
        elif isinstance(a, (Structure, dict)):
            return False
        elif type(a) is type(b) and (a == b or (a != a and b != b)):
            return True
        if column is not None and _plain(a) and _plain(b):
            self.columns[column] = [a, b]
            return True
        return False


def _plain(arg: Arg) -> bool:
    return all(isinstance(a, (int, float)) for a in atoms(arg))


def _build(
    function: Function,
    start: int,
    period: int,
    windows: list[list[Item]],
    match: _Match,
) -> tuple[Loop, int] | None:
    assert match.path is not None
    count = len(windows)
    first, last = windows[0], windows[-1]
    end = start + count * period
    # Values of the first window and what each is called in the last one.
    names_last: dict[Value, Value] = {}
    for a, b in zip(first, last, strict=True):
        names_last |= dict(zip(outs_of(a), outs_of(b), strict=True))
    inner_all = {v for w in windows for i in items_in(w) for v in outs_of(i)}
    carried = []
    made_by: dict[Value, Value] = {}
    for before, end_value in match.firsts.items():
        if end_value not in names_last:
            return None
        inside = Value(before.dtype, before.shape, before.witness)
        function.names[inside] = function.names.get(end_value, []) + function.names.get(
            before, []
        )
        result = names_last[end_value]
        carried.append((inside, before, end_value, result))
        made_by[before] = inside
    allowed = {result for *_, result in carried}
    later = [a for i in items_in(function.body[end:]) for a in args_of(i)]
    later += list(atoms(function.result))
    used = {a for a in later if isinstance(a, Value) and a in inner_all}
    if used - allowed:
        return None
    path, low = match.path, match.start
    for (k, name), column in match.columns.items():
        item = first[k]
        assert isinstance(item, (Op, Call))
        holder = item.args if isinstance(item, Op) else item.options
        holder[name] = Option(name, tuple(column))
    depth = len(path)

    def visit(arg: Arg) -> Arg:
        if isinstance(arg, Value):
            return made_by.get(arg, arg)
        if isinstance(arg, Leaf) and arg.path[:depth] == path and len(arg.path) > depth:
            return replace(arg, path=_starred(arg.path, depth))
        if isinstance(arg, Node) and arg.path[:depth] == path and len(arg.path) > depth:
            leaves = tuple(visit(a) for a in arg.leaves)
            return replace(arg, path=_starred(arg.path, depth), leaves=leaves)
        if isinstance(arg, Dim):
            return replace(arg, args=tuple(map_arg(visit, a) for a in arg.args))
        return arg

    for item in items_in(first):
        if isinstance(item, Op):
            item.args = {k: map_arg(visit, v) for k, v in item.args.items()}
            owner = tuple(item.owner.split("."))
            if owner[:depth] == path and len(owner) > depth:
                item.owner = ".".join(_starred(owner, depth))
            if item.state is not None and item.state[:depth] == path:
                item.state = _starred(item.state, depth)
        elif isinstance(item, Call):
            item.args = [map_arg(visit, v) for v in item.args]
            item.path = (
                _starred(item.path, depth) if item.path[:depth] == path else item.path
            )
    function.names = {
        (visit(k) if isinstance(k, Dim) else k): v for k, v in function.names.items()
    }
    loop = Loop(path, low, low + count, first, carried)
    return loop, count * period


def _starred(path: Path, depth: int) -> Path:
    return (*path[:depth], STAR, *path[depth + 1 :])
