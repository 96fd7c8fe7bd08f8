"""Steps that change nothing, and steps whose results nobody reads, go.

a = contiguous(x); b = view(a); c = add(b, 1); return b   ->   b = view(x); return b
if training: y = join(x, x); return y                     ->   return x
"""

from __future__ import annotations

from dataclasses import replace

from luxgen.ir.program import (
    Branch,
    Call,
    Function,
    Item,
    Loop,
    Op,
    args_of,
    items_in,
    outs_of,
)
from luxgen.ir.values import Arg, Dim, Value, atoms, map_arg
from luxgen.passes.functions import rewrite

SAME = frozenset({"contiguous", "clone", "alias", "identity", "positive", "cpu"})
STOPS = frozenset({"detach", "data"})  # the same too, but for gradients


def clean(function: Function, *, gradients: bool = False) -> None:
    """Forward copies and drop dead steps, in `function` alone.

    Where gradients end matters only if there are any.
    """
    _forward(function, SAME if gradients else SAME | STOPS)
    if not gradients:
        for item in items_in(function.body):
            if isinstance(item, (Op, Call)):
                item.stops = False
    live = _live(function)
    function.body = _kept(function.body, live)


def clean_stops(function: Function) -> None:
    """Forward what only ended gradients, once the pullbacks are made."""
    _forward(function, STOPS)


def _forward(function: Function, copies: frozenset[str]) -> None:
    """Copies: NumPy values are never written to, so a copy is the thing itself."""
    same: dict[Value, Arg] = {}
    for item in items_in(function.body):
        if (
            isinstance(item, Op)
            and item.name in copies
            and isinstance(item.result, Value)
        ):
            source = item.args.get("input")
            if getattr(source, "dtype", None) == item.result.dtype:
                same[item.result] = source
    if same:
        _read_instead(function, same)
    joined = {
        value: a
        for item in items_in(function.body)
        if isinstance(item, Branch)
        for value, a, b in item.joins
        if a is b and isinstance(a, Value) and type(value) is Value
    }
    if joined:  # one value on both sides: nothing is joined
        _read_instead(function, joined)


def _read_instead(function: Function, same: dict[Value, Arg]) -> None:
    """Read what each value in `same` is the same as, and drop its step."""

    def visit(arg: Arg) -> Arg:
        if isinstance(arg, Dim):
            return replace(arg, args=tuple(visit(a) for a in arg.args))
        while isinstance(arg, Value) and arg in same:
            arg = same[arg]
        return arg

    for value in same:
        source = visit(value)
        if isinstance(source, Value):
            known = function.names.setdefault(source, [])
            known += [n for n in function.names.get(value, []) if n not in known]
    names = {k: v for k, v in function.names.items() if k not in same}
    function.names = names
    rewrite(function, visit)
    for item in items_in(function.body):
        if isinstance(item, Call):
            item.result = map_arg(visit, item.result)
    gone = {
        id(i) for i in items_in(function.body) if isinstance(i, Op) and i.result in same
    }
    _remove(function.body, gone)
    for item in items_in(function.body):
        if isinstance(item, Branch):
            item.joins = [j for j in item.joins if j[0] not in same]


def _remove(items: list[Item], gone: set[int]) -> None:
    items[:] = [i for i in items if id(i) not in gone]
    for item in items:
        if isinstance(item, Branch):
            _remove(item.training, gone)
            _remove(item.testing, gone)


def _live(function: Function) -> set[int]:
    """Items that matter: effects, and whatever a mattering item reads."""
    maker = {v: i for i in items_in(function.body) for v in outs_of(i)}
    live: set[int] = set()
    work: list[Item] = [i for i in items_in(function.body) if _matters(i)]
    wanted = [a for a in atoms(function.result) if isinstance(a, Value)]
    work += [maker[a] for a in wanted if a in maker]
    while work:
        item = work.pop()
        if id(item) in live:
            continue
        live.add(id(item))
        work += [maker[a] for a in args_of(item) if isinstance(a, Value) and a in maker]
    return live


def _matters(item: Item) -> bool:
    if isinstance(item, Op):
        return item.state is not None
    if isinstance(item, Call):
        return item.function.updates
    return not isinstance(item, Loop)


def _kept(items: list[Item], live: set[int]) -> list[Item]:
    kept: list[Item] = []
    for item in items:
        if isinstance(item, Branch):
            item.training = _kept(item.training, live)
            item.testing = _kept(item.testing, live)
            if not (item.training or item.testing or item.joins):
                continue
        elif id(item) not in live:
            continue
        kept.append(item)
    return kept


__all__ = ["clean", "clean_stops"]
