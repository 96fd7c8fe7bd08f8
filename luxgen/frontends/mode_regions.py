"""Which steps of the train and the eval trace are the same, and which are one mode's.

    train: f, noise, g, add    eval: f, g    ->    [f | f] [noise, g, add | g]

The step `g` between two of one mode joins them: what `noise` made is read by `add`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from luxgen.frontends.records import Record, Scope
from luxgen.ir.program import Op, Write, args_of, outs_of
from luxgen.ir.values import Arg, Leaf, Node, Structure, Value, atoms


@dataclass
class Region:
    """Steps of both traces: pairs of the same step, or what each mode does."""

    same: bool
    train: list[Record]
    test: list[Record]


def regions(train: Scope, test: Scope) -> list[Region]:
    """Both scopes' items, in order; no region of one mode reads another one's."""
    _complete_writes(train, test)
    keys = [_key(i) for i in train.items], [_key(i) for i in test.items]
    matcher = SequenceMatcher(None, *keys, autojunk=False)
    found = [
        Region(tag == "equal", train.items[a:b], test.items[c:d])
        for tag, a, b, c, d in matcher.get_opcodes()
    ]
    while (span := _to_join(found, train.result, test.result)) is not None:
        low, high = span
        joined = Region(
            False,
            [i for r in found[low : high + 1] for i in r.train],
            [i for r in found[low : high + 1] for i in r.test],
        )
        found[low : high + 1] = [joined]
    return found


def form(arg: Arg) -> Any:
    """The containers of an argument, and where None stands in them."""
    if isinstance(arg, Structure):
        return (arg.name, tuple((k, form(v)) for k, v in arg.fields))
    if isinstance(arg, (tuple, list)):
        return (type(arg).__name__, *(form(a) for a in arg))
    if isinstance(arg, dict):
        return tuple((k, form(v)) for k, v in arg.items())
    return "None" if arg is None else "."


def made_by(record: Record) -> Iterator[Value]:
    """The values that a step makes for those after it."""
    if isinstance(record, Scope):
        yield from (a for a in atoms(record.result) if isinstance(a, Value))
    else:
        yield from outs_of(record)


def _complete_writes(train: Scope, test: Scope) -> None:
    """A buffer that only one mode writes: the other one writes what it was."""
    for ours, theirs in ((train, test), (test, train)):
        written = {i.path for i in ours.items if isinstance(i, Write)}
        for item in theirs.items:
            if isinstance(item, Write) and item.path not in written:
                like = item.value
                leaf = Leaf(item.path, "st", like.dtype, tuple(like.shape))
                ours.items.append(Write(item.path, leaf))
    order = {i.path: k for k, i in enumerate(train.items) if isinstance(i, Write)}
    steps = [i for i in test.items if not isinstance(i, Write)]
    writes = [i for i in test.items if isinstance(i, Write)]
    test.items = steps + sorted(writes, key=lambda w: order[w.path])


def _key(item: Record) -> Any:
    """Steps with equal keys may be the same step of the forward."""
    if isinstance(item, Scope):
        given = tuple((k, form(v)) for k, v in item.args.items())
        return ("scope", item.path, given, form(item.result))
    if isinstance(item, Op):
        given = tuple((k, form(v)) for k, v in item.args.items() if _is_traced(v))
        ranks = tuple(len(o.shape) for o in item.outs)
        return ("op", item.name, item.line, ranks, given)
    if isinstance(item, Write):
        return ("write", item.path)
    return ("guard", getattr(item, "line", None))


def _is_traced(arg: Arg) -> bool:
    return any(isinstance(a, (Value, Leaf, Node)) for a in atoms(arg))


def _to_join(
    found: list[Region], train_result: Arg, test_result: Arg
) -> tuple[int, int] | None:
    """The first regions (low, high) that must be one, if any."""
    homes = [
        {
            v: k
            for k, r in enumerate(found)
            for i in getattr(r, side)
            for v in made_by(i)
        }
        for side in ("train", "test")
    ]
    for k, region in enumerate(found):
        if region.same:
            for left, right in zip(region.train, region.test, strict=True):
                for a, b in _pairs(left, right):
                    if (span := _span(found, homes, a, b)) is not None:
                        return span
                for item, home in zip((left, right), homes, strict=True):
                    for atom in _captured(item):
                        low = home.get(atom, k)
                        if low < k and not found[low].same:
                            return low, k
            continue
        for items, home in zip((region.train, region.test), homes, strict=True):
            for atom in (a for i in items for a in _reads(i)):
                low = home.get(atom, k)
                if low < k and not found[low].same:
                    return low, k
    if form(train_result) == form(test_result):
        pairs = zip(atoms(train_result), atoms(test_result), strict=False)
        spans = (_span(found, homes, a, b) for a, b in pairs)
        return next((s for s in spans if s is not None), None)
    used = [
        home[a]
        for home, result in zip(homes, (train_result, test_result), strict=True)
        for a in atoms(result)
        if a in home
    ]
    first = min((k for k in used if not found[k].same), default=None)
    if first is None or first == max(used):
        return None
    return first, max(used)


def _span(
    found: list[Region], homes: list[dict[Value, int]], a: Any, b: Any
) -> tuple[int, int] | None:
    """`a` in training and `b` in testing are one value: where both can be seen."""
    places = [home.get(v) for home, v in zip(homes, (a, b), strict=True)]
    known = sorted(k for k in places if k is not None)
    if len(known) < 2 or known[0] == known[1] or found[known[0]].same:
        return None
    return known[0], known[1]


def _pairs(left: Record, right: Record) -> Iterator[tuple[Any, Any]]:
    if isinstance(left, Write) and isinstance(right, Write):
        yield left.value, right.value
    elif isinstance(left, (Scope, Op)) and isinstance(right, (Scope, Op)):
        for name in left.args.keys() & right.args.keys():
            ours, theirs = left.args[name], right.args[name]
            yield from zip(atoms(ours), atoms(theirs), strict=False)


def _captured(item: Record) -> Iterator[Value]:
    """What a call reads inside that isn't among its arguments."""
    if isinstance(item, Scope):
        given = {a for a in atoms(tuple(item.args.values())) if isinstance(a, Value)}
        yield from (v for inner in item.items for v in _reads(inner) if v not in given)


def _reads(item: Record) -> Iterator[Value]:
    if isinstance(item, Scope):
        args: Any = atoms(tuple(item.args.values()))
        for inner in item.items:
            yield from _reads(inner)
    else:
        args = (each for arg in args_of(item) for each in atoms(arg))
    yield from (a for a in args if isinstance(a, Value))
