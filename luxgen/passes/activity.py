"""Which values gradients flow through, for every function of a program.

f(x, mask) {y = mul(x, mask)}, called with a mask that no parameter is in
->  varied: x, y; wanted: x; useful: y
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from luxgen.ir.program import Branch, Call, Function, Item, Loop, Op, args_of, outs_of
from luxgen.ir.values import Arg, Leaf, Node, Value, atoms, map_arg
from luxgen.passes.cleanup import STOPS


@dataclass
class Activity:
    """One function's: parameters and results with cotangents, values that vary."""

    wanted: set[Value] = field(default_factory=set)
    useful: set[int] = field(default_factory=set)  # places in `parts(result)`
    varied: set[Value] = field(default_factory=set)

    def varies(self, atom: Any) -> bool:
        """Whether the derivative with respect to `atom` is asked for."""
        if isinstance(atom, Value):
            return atom in self.varied
        if isinstance(atom, Node):
            return atom.kind == "ps" and any(is_float(a.dtype) for a in atom.leaves)
        return isinstance(atom, Leaf) and atom.kind == "ps" and is_float(atom.dtype)


def is_float(dtype: str) -> bool:
    return dtype.startswith(("float", "bfloat", "complex")) and dtype != "float"


def activities(functions: list[Function]) -> dict[Function, Activity]:
    """The activity of each of `functions`, which are callees first, the model last."""
    found = {function: Activity() for function in functions}
    main = functions[-1]
    found[main].wanted = {v for v in own_values(main) if is_float(v.dtype)}
    for function in reversed(functions):
        activity = found[function]
        activity.varied |= activity.wanted
        _vary(function.body, activity, found)
        places = enumerate(parts(function.result))
        varied = {k for k, part in places if activity.varies(part)}
        activity.useful = varied if function is main else activity.useful & varied
        _use(function, activity, found)
    return found


def own_values(function: Function) -> list[Value]:
    """The values that the parameters bring, in order."""
    held = (a for p in function.params for a in atoms(p.arg))
    return [a for a in held if isinstance(a, Value)]


def parts(arg: Arg) -> list[Any]:
    """The atoms of `arg`, without what its sizes are made of."""
    found: list[Any] = []
    map_arg(found.append, arg)
    return found


def passed(call: Call) -> list[tuple[Any, Any]]:
    """What the caller passes, and what the callee calls it."""
    pairs = []
    for arg, param in zip(call.args, call.function.params, strict=True):
        pairs += list(zip(parts(arg), parts(param.arg), strict=True))
    return pairs


def _vary(
    items: list[Item], activity: Activity, found: dict[Function, Activity]
) -> None:
    """Mark the values that depend on parameters or wanted inputs."""
    for item in items:
        if isinstance(item, Branch):
            _vary(item.training, activity, found)
            _vary(item.testing, activity, found)
            for value, *sides in item.joins:
                if any(activity.varies(a) for side in sides for a in atoms(side)):
                    _mark(value, activity)
        elif isinstance(item, Loop):
            before = -1
            while before != len(activity.varied):
                before = len(activity.varied)
                for inside, first, last, result in item.carried:
                    if any(activity.varies(a) for a in atoms((first, last))):
                        _mark(inside, activity)
                        _mark(result, activity)
                _vary(item.body, activity, found)
        elif isinstance(item, Call):
            _vary_call(item, activity, found)
        elif isinstance(item, Op) and not item.stops and item.name not in STOPS:
            varied = any(activity.varies(a) for a in args_of(item))
            for value in outs_of(item) if varied else ():
                _mark(value, activity)


def _vary_call(call: Call, activity: Activity, found: dict[Function, Activity]) -> None:
    if call.stops:
        return
    callee = found[call.function]
    varied = [own for arg, own in passed(call) if activity.varies(arg)]
    callee.wanted |= {v for v in varied if isinstance(v, Value) and is_float(v.dtype)}
    if varied or call.function.reads_ps:
        for value in call.outs:
            _mark(value, activity)


def _mark(value: Value, activity: Activity) -> None:
    if is_float(value.dtype):
        activity.varied.add(value)


def _use(
    function: Function, activity: Activity, found: dict[Function, Activity]
) -> None:
    """Mark the callees' results that this function's useful results depend on."""
    results = parts(function.result)
    live = {results[k] for k in activity.useful}
    before = -1
    while before != len(live):  # again: a loop's carried values feed its start
        before = len(live)
        _live(function.body, live, activity, found)


def _live(
    items: list[Item],
    live: set[Any],
    activity: Activity,
    found: dict[Function, Activity],
) -> None:
    for item in reversed(items):
        if isinstance(item, Branch):
            for value, *sides in item.joins:
                if value in live:
                    live |= {a for side in sides for a in atoms(side)}
            _live(item.testing, live, activity, found)
            _live(item.training, live, activity, found)
        elif isinstance(item, Loop):
            for inside, first, last, result in item.carried:
                if result in live or inside in live:
                    live |= {inside, *atoms((first, last))}
            _live(item.body, live, activity, found)
        elif isinstance(item, Call):
            read = parts(item.result)
            used = {k for k, part in enumerate(read) if part in live}
            used = {k for k in used if activity.varies(read[k])}
            found[item.function].useful |= used
            if used:
                live |= {a for a in args_of(item) if isinstance(a, (Value, Leaf))}
        elif isinstance(item, Op) and any(v in live for v in outs_of(item)):
            live |= {a for a in args_of(item) if isinstance(a, (Value, Leaf, Node))}


__all__ = ["Activity", "activities", "is_float", "own_values", "parts", "passed"]
