"""A second real trace at other sizes is the witness that nothing was frozen.

`align` walks both traces op by op. Numbers that differ must be what their expression
predicts; plain numbers that differ are leaks, explained by the sizes of the op's own
tensors or refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from luxgen.frontends.records import Record, Scope
from luxgen.ir.program import Branch, Guard, Line, Op, Write
from luxgen.ir.values import Arg, Dim, Leaf, Node, Structure, Value, atoms


class Misaligned(Exception):
    """The traces differ in more than sizes; `line` is where."""

    def __init__(self, reason: str, line: Line) -> None:
        super().__init__(reason)
        self.reason, self.line = reason, line


def align(first: Scope, second: Scope) -> None:
    """Give every value of `first` its size in `second`; rewrite leaks as Dims.

    Raises Misaligned where the two runs took different ways.
    """
    aligned = _Alignment()
    aligned.pair_args(first.args, second.args)
    aligned.scope(first, second)


class _Alignment:
    def __init__(self) -> None:
        self.twins: dict[Value, Value] = {}
        self.line: Line = ("", 0)
        self.known: list[Value] = []
        self.dims: dict[Dim, Dim] = {}

    def pair_args(self, first: Arg, second: Arg) -> None:
        for a, b in zip(atoms(first), atoms(second), strict=False):
            if isinstance(a, Value) and isinstance(b, Value):
                self._pair(a, b)

    def _pair(self, a: Value, b: Value) -> None:
        if a.dtype != b.dtype or a.ndim != b.ndim:
            raise Misaligned("a result's dtype or rank depends on a size", self.line)
        a.witness = b.shape
        self.twins[a] = b
        self.known.append(a)

    def scope(self, first: Scope, second: Scope) -> None:
        if first.path != second.path:
            raise Misaligned("which module is called depends on a size", self.line)
        outer = self.known
        self.known = [a for a in atoms(tuple(first.args.values())) if type(a) is Value]
        first.args = {
            k: self.arg(v, second.args.get(k), ()) for k, v in first.args.items()
        }
        self.items(first, second)
        first.result = self.arg(first.result, second.result, ())
        first.names = {
            (self.dims.get(k, k) if isinstance(k, Dim) else k): v
            for k, v in first.names.items()
        }
        self.known = outer

    def items(self, first: Scope, second: Scope) -> None:
        left, right = _steering(first.items), _steering(second.items)
        for a, b in zip(left, right, strict=False):
            self.item(a, b)
        if len(left) != len(right):
            line = _line(
                (left if len(left) > len(right) else right)[min(len(left), len(right))]
            )
            raise Misaligned("the number of steps depends on a size", line)
        guards = [i for i in second.items if isinstance(i, Guard)]
        ours = [i for i in first.items if isinstance(i, Guard)]
        for guard, twin in zip(ours, guards, strict=False):
            self.line = guard.line
            guard.condition = self.guard(guard, twin)
        first.items = [
            i for i in first.items if not (_idle_guard(i) or _steers_nothing(i))
        ]

    def guard(self, guard: Guard, twin: Guard) -> Dim:
        return self._dim(guard.condition)

    def item(self, a: Record, b: Record) -> None:
        self.line = _line(a) or self.line
        if type(a) is not type(b):
            raise Misaligned("the order of steps depends on a size", self.line)
        if isinstance(a, Scope) and isinstance(b, Scope):
            self.scope(a, b)
        elif isinstance(a, Op) and isinstance(b, Op):
            if a.name != b.name or a.args.keys() != b.args.keys():
                raise Misaligned(f"{a.name} or {b.name}: depends on a size", self.line)
            tensors = [v for v in atoms(tuple(a.args.values())) if isinstance(v, Value)]
            a.args = {k: self.arg(v, b.args[k], tensors) for k, v in a.args.items()}
            ours, theirs = a.outs, b.outs
            if len(ours) != len(theirs):
                raise Misaligned(
                    f"{a.name}: how many results depends on a size", self.line
                )
            for x, y in zip(ours, theirs, strict=True):
                self._pair(x, y)
        elif isinstance(a, Write) and isinstance(b, Write):
            a.value = self.arg(a.value, b.value, ())

    def arg(self, a: Arg, b: Arg, near: Any) -> Arg:
        if isinstance(a, Value):
            if self.twins.get(a) is not b:
                raise Misaligned("which value is used depends on a size", self.line)
            return a
        if isinstance(a, (Leaf, Node)):
            if a != b:
                raise Misaligned("which parameter is used depends on a size", self.line)
            return a
        if isinstance(a, Dim):
            value = b.value if isinstance(b, Dim) else b
            dim = self._dim(a)
            if dim.witness != value:
                return self._leak(a.value, value, near)
            return dim
        if isinstance(b, Dim):
            b = b.value
        if isinstance(a, (tuple, list)):
            if not isinstance(b, (tuple, list)) or len(a) != len(b):
                raise Misaligned("how many arguments depends on a size", self.line)
            return type(a)(self.arg(x, y, near) for x, y in zip(a, b, strict=True))
        if isinstance(a, dict):
            return {k: self.arg(v, b[k], near) for k, v in a.items()}
        if isinstance(a, Structure):
            fields = zip(a.fields, b.fields, strict=True)
            return Structure(
                a.name, tuple((k, self.arg(v, w, near)) for (k, v), (_, w) in fields)
            )
        if isinstance(a, slice):
            pairs = ((a.start, b.start), (a.stop, b.stop), (a.step, b.step))
            return slice(*(self.arg(x, y, near) for x, y in pairs))
        if a == b or (a != a and b != b):
            return a
        return self._leak(a, b, near)

    def _dim(self, dim: Dim) -> Dim:
        """`dim` with its value in the second trace, by its own expression."""
        if dim in self.dims:
            return self.dims[dim]
        args = tuple(self._dim(a) if isinstance(a, Dim) else a for a in dim.args)
        scope = {f"_{k}": _seen(a) for k, a in enumerate(args)}
        import math

        names = {"math": math, "abs": abs, "int": int, "round": round}
        found = eval(dim.text, {"__builtins__": {}, **names}, scope)  # our own text
        self.dims[dim] = replace(dim, args=args, witness=found)
        return self.dims[dim]

    def _leak(self, a: Any, b: Any, near: Any) -> Dim:
        """A plain number that follows a size: which size of a nearby tensor is it?"""
        if isinstance(a, (int, float)) and isinstance(b, (int, float)):
            for values in (near, self.known):
                found = next(_explanations(a, b, values), None)
                if found is not None:
                    return found
        raise Misaligned(f"{a!r} became {b!r} at another size, unexplained", self.line)


def _seen(arg: Arg) -> Any:
    if isinstance(arg, Value):
        return _Sized(arg.witness)
    return arg.witness if isinstance(arg, Dim) else arg


class _Sized:
    """What `_0.shape[k]` and `_0.size` are read from."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.size = 1
        for n in shape:
            self.size *= n


def _explanations(a: Any, b: Any, values: Any) -> Iterator[Dim]:
    sizes = [
        Dim(f"_0.shape[{k}]", (v,), n, v.witness[k])
        for v in values
        for k, n in enumerate(v.shape)
        if n != v.witness[k]
    ]
    for dim in sizes:
        if (dim.value, dim.witness) == (a, b):
            yield dim
    for dim in sizes:
        x, y = dim.value, dim.witness
        assert y is not None
        if a * y == b * x and x and a % x == 0 and type(a) is int:
            yield Dim(f"_0 * {a // x}", (dim,), a, b)
        if (
            type(a) is int
            and a
            and x // a
            and x // (x // a) == a
            and y // (x // a) == b
        ):
            yield Dim(f"_0 // {x // a}", (dim,), a, b)
        if a - x == b - y and type(a) is int:
            yield Dim(f"_0 + {a - x}" if a > x else f"_0 - {x - a}", (dim,), a, b)
    for k, left in enumerate(sizes):
        for right in sizes[k:]:
            assert left.witness is not None and right.witness is not None
            if left.value * right.value == a and left.witness * right.witness == b:
                yield Dim("_0 * _1", (left, right), a, b)


def _steering(items: list[Record]) -> list[Record]:
    return [i for i in items if not isinstance(i, Guard)]


def _idle_guard(item: Record) -> bool:
    """A guard on sizes that are the same at every input tells nothing."""
    return isinstance(item, Guard) and not _free(item.condition)


def _steers_nothing(item: Record) -> bool:
    """A guard that came out otherwise in the witness, which took the same steps."""
    if not isinstance(item, Guard) or item.condition.witness is None:
        return False
    return bool(item.condition.witness) != item.outcome


def _free(dim: Any) -> bool:
    if not isinstance(dim, Dim):
        return False
    if dim.text.startswith("_0.shape["):
        axis = int(dim.text[len("_0.shape[") : -1])
        value = dim.args[0]
        return bool(value.shape[axis] != value.witness[axis])
    return any(_free(a) for a in dim.args) or any(
        isinstance(a, Value) and a.shape != a.witness for a in dim.args
    )


def _line(item: Record) -> Line:
    if isinstance(item, Scope):
        return next((_line(i) for i in item.items if _line(i)[1]), ("", 0))
    return ("", 0) if isinstance(item, (Write, Branch)) else item.line
