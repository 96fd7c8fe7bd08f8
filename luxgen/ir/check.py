"""Is a function well-formed? Run between passes: a broken program is our own fault."""

from __future__ import annotations

from collections.abc import Iterable

from luxgen.ir.program import (
    Branch,
    Call,
    Function,
    Item,
    Loop,
    Op,
    Pullback,
    Unwind,
    args_of,
    items_in,
    outs_of,
)
from luxgen.ir.values import Value, atoms


class BrokenProgram(AssertionError):
    """A pass left a value used before it is made, or made twice."""


def check(function: Function) -> None:
    """Every value is made once, before it is read, where its reader can see it."""
    known = {a for p in function.params for a in atoms(p.arg) if isinstance(a, Value)}
    made = _block(function, function.body, set(known))
    _readable(function, "the result", atoms(function.result), made)
    if function.pullback is not None:
        _pullback(function, function.pullback, made)


def _pullback(function: Function, pullback: Pullback, made: set[Value]) -> None:
    """It reads the function's values; those of a branch's side on the same side."""
    inside = {
        v
        for i in items_in(function.body)
        if isinstance(i, Branch)
        for side in (i.training, i.testing)
        for inner in items_in(side)
        for v in outs_of(inner)
    }
    known = _block(function, pullback.body, made | inside | set(pullback.params))
    _readable(function, "the pullback", atoms(pullback.results), known)
    _readable(
        function, "the pullback", atoms(list((pullback.ps or {}).values())), known
    )


def _block(function: Function, items: list[Item], known: set[Value]) -> set[Value]:
    for item in items:
        if isinstance(item, Branch):
            training = _block(function, item.training, set(known))
            testing = _block(function, item.testing, set(known))
            for _, a, b in item.joins:
                _readable(function, "a join", atoms(a), training)
                _readable(function, "a join", atoms(b), testing)
        elif isinstance(item, (Loop, Unwind)):
            for _, before, _, _ in item.carried:
                _readable(function, "a loop", atoms(before), known)
            inside = known | {value for value, *_ in item.carried}
            if isinstance(item, Unwind):
                _readable(function, "a loop's way back", atoms(item.tape), known)
                inside |= set(item.saved)
            inner = _block(function, item.body, set(inside))
            for _, _, after, _ in item.carried:
                _readable(function, "a loop's end", atoms(after), inner)
            kept = item.saved if isinstance(item, Loop) else list(item.leaves.values())
            _readable(function, "a loop's end", atoms(kept), inner)
        else:
            _readable(function, _what(item), args_of(item), known)
        for value in outs_of(item):
            if value in known:
                raise BrokenProgram(
                    f"{function.class_name}: {_what(item)} makes a value again"
                )
            known.add(value)
    return known


def _readable(
    function: Function, what: str, args: Iterable[object], known: set[Value]
) -> None:
    for arg in args:
        if isinstance(arg, Value) and arg not in known:
            raise BrokenProgram(
                f"{function.class_name}: {what} reads a value not made before it"
            )


def _what(item: Item) -> str:
    if isinstance(item, Op):
        return item.name
    if isinstance(item, Call):
        return f"call of {item.function.class_name}"
    return type(item).__name__.lower()
