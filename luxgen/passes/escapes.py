"""Values made inside a module's call and read outside it, but not returned.

    scope moe { aux = f(x); self.aux = aux; return y };  y = moe(x); loss = moe.aux
    ->  scope moe { ...; return (y, aux) }
"""

from __future__ import annotations

from collections.abc import Iterator

from luxgen.frontends.records import Record, Scope
from luxgen.ir.program import args_of, outs_of
from luxgen.ir.values import Arg, Value, atoms

Chain = tuple[Scope, ...]


def export(root: Scope) -> None:
    """Return such values too, from every call between their maker and their reader."""
    makers: dict[Value, Chain] = {}
    for item, chain in _walk(root, (root,)):
        for value in _made(item):
            makers.setdefault(value, chain)
    wanted: dict[Scope, dict[Value, None]] = {}
    for used, chain in _uses(root):
        maker = makers.get(used, ())
        shared = sum(a is b for a, b in zip(maker, chain, strict=False))
        for scope in maker[shared:]:
            wanted.setdefault(scope, {})[used] = None
    for scope, values in wanted.items():
        returned = list(atoms(scope.result))
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


def _uses(root: Scope) -> Iterator[tuple[Value, Chain]]:
    """Every read of a value and the calls it happens in."""
    for item, chain in _walk(root, (root,)):
        if isinstance(item, Scope):
            yield from _values(tuple(item.args.values()), chain)
            yield from _values(item.result, (*chain, item))
        else:
            for arg in args_of(item):
                yield from _values(arg, chain)
    yield from _values(root.result, (root,))


def _values(arg: Arg, chain: Chain) -> Iterator[tuple[Value, Chain]]:
    for atom in atoms(arg):
        if isinstance(atom, Value):
            yield atom, chain
