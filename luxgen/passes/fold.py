"""One function per distinct module: equal functions become one, called often.

f0(x) {conv2d(x, stride=1)}; f1(x) {conv2d(x, stride=2)}; calls f0, f1
->  f(x, *, stride) {conv2d(x, stride=stride)}; calls f(stride=1), f(stride=2)
"""

from __future__ import annotations

from typing import Any

from luxgen.ir.program import (
    Branch,
    Call,
    Function,
    Guard,
    Item,
    Loop,
    Op,
    Write,
    args_of,
    items_in,
)
from luxgen.ir.values import Dim, Leaf, Node, Option, Structure, Value

# Constants that may differ between calls of one function, by op, and their defaults.
_WINDOW = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
LIFTABLE: dict[str, dict[str, Any]] = {
    **{f"conv{n}d": _WINDOW for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": {**_WINDOW, "output_padding": 0} for n in (1, 2, 3)},
    "dropout": {"p": 0.5},
    "layer_norm": {"eps": 1e-5},
    "batch_norm_layer": {"eps": 1e-5, "momentum": 0.1},
    "batch_norm": {"eps": 1e-5, "momentum": 0.1},
    "multi_head_attention": {"num_heads": 1},
    "group_norm": {"num_groups": 1, "eps": 1e-5},
}


# Ops whose rule asks which sizes are equal or 1: functions fold only where these agree.
SIZES_MATTER = frozenset({
    "masked_fill", "masked_scatter", "where", "cdist", "copy", "gather", "scatter",
    "scatter_add", "scatter_reduce", "index_put", "setitem", "getitem", "index",
    "take_along_dim", "cat", "einsum", "tensordot", "stft", "istft", "linalg_cross",
    "cross", "linalg_vecdot", "linalg_solve", "linalg_solve_ex", "squeeze", "expand", "expand_as",
    "broadcast_to", "max_unpool1d", "max_unpool2d", "max_unpool3d",
    "column_stack", "dstack", "embedding_bag", "hstack", "masked_select", "stack", "vstack",
})  # fmt: skip


def fold(main: Function, *, broadcasts: bool = False) -> list[Function]:
    """Merge equal functions below `main`; returns all that remain, callees first.

    With `broadcasts` only where operands are broadcast alike, which gradients undo.

    Works from the leaves of the call tree up, so that a caller's key already knows
    its callees' merged functions and options.
    """
    remaining: list[Function] = []
    heights: dict[Function, int] = {}
    for function in _post_order(main, {}):
        below = [heights[c.function] for c in _calls(function)]
        heights[function] = 1 + max(below, default=0)
    for height in range(1, heights[main] + 1):
        level = [f for f, h in heights.items() if h == height]
        remaining += _merge_level(level, list(heights), broadcasts)
    return remaining


def _post_order(function: Function, seen: dict[Function, None]) -> list[Function]:
    for call in _calls(function):
        if call.function not in seen:
            _post_order(call.function, seen)
    seen[function] = None
    return list(seen)


def _calls(function: Function) -> list[Call]:
    return [item for item in items_in(function.body) if isinstance(item, Call)]


def _merge_level(
    level: list[Function], every: list[Function], broadcasts: bool
) -> list[Function]:
    groups: dict[str, list[tuple[Function, list[Constant]]]] = {}
    for function in level:
        key = _Key(function, broadcasts)
        groups.setdefault(key.text, []).append((function, key.constants))
    owner: dict[Function, Function] = {}
    options: dict[Function, dict[str, Any]] = {}
    for members in groups.values():
        members.sort(key=lambda member: not member[0].complete)
        first = members[0][0]
        names = _option_names([constants for _, constants in members])
        for function, constants in members:
            owner[function] = first
            options[function] = {n: constants[k][2] for k, n in names.items()}
        for k, name in names.items():
            holder, key_, value = members[0][1][k]
            holder[key_] = Option(name, value)
        first.options = {
            n: [constants[k][2] for _, constants in members] for k, n in names.items()
        }
        for function, _ in members[1:]:
            _agree_on_names(first, function)
    for function in every:
        for call in _calls(function):
            if call.function in owner:
                call.options = dict(options[call.function])
                call.function = owner[call.function]
    return [members[0][0] for members in groups.values()]


def _agree_on_names(first: Function, other: Function) -> None:
    """Shapes that differ between calls aren't shown: mark them on the values."""
    for a, b in zip(_values(first), _values(other), strict=True):
        if (a.shape, a.witness) != (b.shape, b.witness):
            a.names = (*a.names, "varies")


def _values(function: Function) -> list[Value]:
    return _Key(function).values


def _option_names(members: list[list[Constant]]) -> dict[int, str]:
    """Constants that differ within a group, by position, and the option each becomes."""
    names: dict[int, str] = {}
    for k, (_, argument, value) in enumerate(members[0]):
        column = [constants[k][2] for constants in members]
        if all(_same(v, value) for v in column):
            continue
        twin = next(
            (n for j, n in names.items()
             if all(_same(m[j][2], m[k][2]) for m in members)
             and members[0][j][1] == argument),
            None,
        )  # fmt: skip
        count, name = 1, argument
        while twin is None and name in names.values():
            count += 1
            name = f"{argument}_{count}"
        names[k] = twin or name
    return names


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


Constant = tuple[dict[str, Any], str, Any]  # where it stands, under which name, value


class _Key:
    """A function's structure as text, with liftable constants taken out."""

    def __init__(self, function: Function, broadcasts: bool = False) -> None:
        self.broadcasts = broadcasts
        self.constants: list[Constant] = []
        self.numbers: dict[Value, int] = {}
        self.values: list[Value] = []
        params = [(p.name, self.show(p.arg), p.required) for p in function.params]
        body = [self.item(i) for i in function.body]
        self.text = repr(
            (function.class_name, params, body, self.show(function.result))
        )

    def item(self, item: Item) -> Any:
        if isinstance(item, Op):
            lift = LIFTABLE.get(item.name, {})
            args: list[Any] = []
            for name in sorted(lift.keys() | item.args.keys()):
                arg = item.args.get(name, lift.get(name))
                if name in lift and _is_constant(arg):
                    self.constants.append((item.args, name, _plain(arg)))
                    args.append((name, "constant"))
                else:
                    args.append((name, self.show(arg)))
            if item.name in SIZES_MATTER:
                args.append(("sizes", pattern(item)))
            elif self.broadcasts:
                args.append(("ones", ones(item)))
            shown = self.show(item.result)
            return item.name, args, shown, item.state, item.kind, item.stops
        if isinstance(item, Call):
            for name, value in sorted(item.options.items()):
                self.constants.append((item.options, name, value))
            callee = item.function.class_name, id(item.function), item.path
            shown = self.show(item.args), self.show(item.result)
            return "call", callee, *shown, item.stops
        if isinstance(item, Branch):
            sides = (
                [self.item(i) for i in item.training],
                [self.item(i) for i in item.testing],
            )
            return (
                "branch",
                repr(item.condition),
                sides,
                self.show([list(j) for j in item.joins]),
            )
        if isinstance(item, Loop):
            raise AssertionError("fold runs before loops")
        if isinstance(item, Write):
            return "write", item.path, self.show(item.value)
        assert isinstance(item, Guard)
        return "guard", self.show(item.condition), item.outcome

    def show(self, arg: Any) -> Any:
        if isinstance(arg, Value):
            if arg not in self.numbers:
                self.numbers[arg] = len(self.numbers)
                self.values.append(arg)
            return ("v", self.numbers[arg], arg.dtype, arg.ndim)
        if isinstance(arg, (Leaf, Node)):
            dtype = (
                arg.dtype if isinstance(arg, Leaf) else [a.path[-1] for a in arg.leaves]
            )
            return (type(arg).__name__, arg.path, arg.kind, dtype)
        if isinstance(arg, Dim):
            return ("dim", arg.text, self.show(arg.args))
        if isinstance(arg, Structure):
            return (arg.name, [(k, self.show(v)) for k, v in arg.fields])
        if isinstance(arg, (tuple, list)):
            return [type(arg).__name__, *(self.show(a) for a in arg)]
        if isinstance(arg, dict):
            return [(k, self.show(v)) for k, v in arg.items()]
        if isinstance(arg, slice):
            return ("slice", self.show((arg.start, arg.stop, arg.step)))
        if isinstance(arg, Option):
            return ("option", arg.name)
        return (type(arg).__name__, repr(arg))


def pattern(op: Op) -> list[list[Any]]:
    """Which sizes of an op's arguments are 1 and which are equal: rules may ask that."""
    seen: dict[tuple[int, int], int] = {}
    pattern = []
    for arg in args_of(op):
        if isinstance(arg, (Value, Leaf)):
            sizes = zip(arg.shape, arg.witness or arg.shape, strict=True)
            pattern.append(
                ["1" if s == (1, 1) else seen.setdefault(s, len(seen)) for s in sizes]
            )
    return pattern


def ones(op: Op) -> list[list[bool]]:
    """Where the tensors of an op that broadcasts have size 1."""
    tensors = [a for a in args_of(op) if isinstance(a, (Value, Leaf))]
    if len({(a.shape, a.witness) for a in tensors}) < 2:
        return []
    return [
        [s == (1, 1) for s in zip(a.shape, a.witness or a.shape, strict=True)]
        for a in tensors
    ]


def _plain(arg: Any) -> Any:
    """(2, 2) as 2: torch's layers spell every axis out."""
    same = isinstance(arg, tuple) and len(set(arg)) == 1
    return arg[0] if same else arg


def _is_constant(arg: Any) -> bool:
    if isinstance(arg, tuple):
        return all(_is_constant(a) for a in arg)
    return isinstance(arg, (int, float)) and not isinstance(arg, bool)
