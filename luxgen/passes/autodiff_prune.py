"""Steps of a pullback whose results nobody reads go."""

from __future__ import annotations

from luxgen.ir.program import Branch, Item, Pullback, Unwind, args_of, outs_of
from luxgen.ir.values import Arg, Value, atoms


def prune(pullback: Pullback) -> None:
    """Drop dead steps, in place."""
    live = {a for a in atoms(pullback.results) if isinstance(a, Value)}
    live |= {
        a for a in atoms(list((pullback.ps or {}).values())) if isinstance(a, Value)
    }
    _prune(pullback.body, live)


def prune_block(items: list[Item], read: list[Arg]) -> None:
    """Drop the steps that `read` doesn't depend on, in place."""
    _prune(items, {a for a in atoms(read) if isinstance(a, Value)})


def _prune(items: list[Item], live: set[Value]) -> None:
    kept = []
    for item in reversed(items):
        if isinstance(item, Branch):
            item.joins = [j for j in item.joins if j[0] in live]
            live |= {
                a for j in item.joins for a in atoms(j[1:]) if isinstance(a, Value)
            }
            _prune(item.testing, live)
            _prune(item.training, live)
            if not item.joins:
                continue
        elif isinstance(item, Unwind):
            if not any(v in live for v in outs_of(item)):
                continue
            live |= {a for a in args_of(item) if isinstance(a, Value)}
            live |= {c[0] for c in item.carried}
            _prune(item.body, live)
        elif not any(v in live for v in outs_of(item)):
            continue
        live |= {a for a in args_of(item) if isinstance(a, Value)}
        kept.append(item)
    items[:] = reversed(kept)
