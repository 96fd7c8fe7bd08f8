"""Values made inside a module's call and read outside it, but not returned.

scope moe { aux = f(x); self.aux = aux; return y };  y = moe(x); loss = moe.aux
->  scope moe { ...; return (y, aux) }
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from luxgen.frontends.records import Record, Scope
from luxgen.ir.program import Op, args_of, outs_of
from luxgen.ir.values import Arg, Dim, Value, map_arg

Chain = tuple[Scope, ...]


def export(root: Scope) -> None:
    """Return such values too, from every call between their maker and their reader."""
    makers: dict[Value, Chain] = {}
    for item, chain in _walk(root, (root,)):
        for value in _made(item):
            makers.setdefault(value, chain)
    wanted: dict[Scope, dict[Value, None]] = {}
    for used, chain in _uses(root, _returned_sizes(root)):
        maker = makers.get(used, ())
        shared = sum(a is b for a, b in zip(maker, chain, strict=False))
        for scope in maker[shared:]:
            wanted.setdefault(scope, {})[used] = None
    for scope, values in wanted.items():
        returned = _parts(scope.result)
        more = [v for v in values if not any(v is a for a in returned)]
        if more:
            scope.result = (scope.result, *more)


def _walk(scope: Scope, chain: Chain) -> Iterator[tuple[Record, Chain]]:
    for item in scope.items:
        yield item, chain
        if isinstance(item, Scope):
            yield from _walk(item, (*chain, item))


def _made(item: Record) -> tuple[Value, ...]:
    return () if isinstance(item, Scope) else outs_of(item)


def made_inside(scope: Scope) -> Iterator[Value]:
    """Every value that a call makes, in calls below it too."""
    for item, _ in _walk(scope, (scope,)):
        yield from _made(item)


Sizes = dict[Dim, list[Chain]]  # sizes that a call returns -> its callers


def _returned_sizes(root: Scope) -> Sizes:
    """The callers have the numbers, and needn't have what they are made of."""
    found: Sizes = {}
    for item, chain in _walk(root, (root,)):
        if isinstance(item, Scope):
            for part in _parts(item.result):
                if isinstance(part, Dim):
                    found.setdefault(part, []).append(chain)
    return found


def _uses(root: Scope, sizes: Sizes) -> Iterator[tuple[Value, Chain]]:
    """Every read of a value and the calls it happens in."""
    for item, chain in _walk(root, (root,)):
        if isinstance(item, Scope):
            yield from _values(tuple(item.args.values()), chain, sizes)
            yield from _values(item.result, (*chain, item), sizes)
        elif isinstance(item, Op):
            yield from _values(tuple(item.args.values()), chain, sizes)
        else:
            for arg in args_of(item):
                yield from _values(arg, chain, sizes)
    yield from _values(root.result, (root,), sizes)


def _values(arg: Arg, chain: Chain, sizes: Sizes) -> Iterator[tuple[Value, Chain]]:
    for part in _parts(arg):
        if isinstance(part, Value):
            yield part, chain
        elif isinstance(part, Dim):
            callers = sizes.get(part, [])
            if not any(c == chain[: len(c)] for c in callers):
                yield from _values(part.args, chain, sizes)


def _parts(arg: Arg) -> list[Any]:
    """What is in `arg`, without what its sizes are made of."""
    found: list[Any] = []
    map_arg(found.append, arg)
    return found
