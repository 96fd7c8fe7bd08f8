"""In which order helpers are specialised, and in which they are printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import libcst as cst

from luxgen.targets.numpy.specialise_library import Helper
from luxgen.targets.numpy.specialise_suite import bindings, parameter_names, reads


def in_calling_order(names: Iterable[str], helpers: Mapping[str, Helper]) -> list[str]:
    """The helpers named and all that they may use, callers before callees."""
    done: dict[str, None] = {}
    path: set[str] = set()

    def visit(name: str) -> None:
        if name in done or name in path:
            return
        path.add(name)
        for used in _mentioned(helpers[name].node):
            if used in helpers:
                visit(used)
        path.discard(name)
        done[name] = None

    for name in reversed(list(dict.fromkeys(names))):
        visit(name)
    return list(done)[::-1]


def recursive(names: Iterable[str], helpers: Mapping[str, Helper]) -> set[str]:
    """Those that may call themselves by any way, and all that these may use."""
    found: set[str] = set()
    for name in names:
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            uses = _mentioned(helpers[waiting.pop()].node)
            fresh = {used for used in uses if used in helpers} - seen
            seen |= fresh
            waiting += fresh
        if name in seen:
            found |= seen
    return found


@cache
def _mentioned(node: cst.FunctionDef) -> list[str]:
    """Names that the function reads and doesn't bind."""
    own = {*parameter_names(node), *bindings(node.body)}
    return sorted(reads(node.body) - own)


def in_reading_order(
    first: Sequence[str], uses: Mapping[str, Sequence[str]]
) -> list[str]:
    """By first use, but each after all of its callers and as soon after as can be."""
    found: dict[str, None] = {}
    queue = list(dict.fromkeys(first))
    for name in queue:
        found[name] = None
        queue += [n for n in uses.get(name, ()) if n not in queue]
    waiting = dict.fromkeys(found, 0)
    for name in found:
        for used in uses.get(name, ()):
            waiting[used] += used != name
    ready = [name for name in found if not waiting[name]][::-1]
    out: list[str] = []
    while len(out) < len(found):
        if not ready:  # helpers that call each other: the first used goes first
            ready = [next(n for n in found if n not in out)]
        name = ready.pop()
        out.append(name)
        freed = []
        for used in uses.get(name, ()):
            waiting[used] -= used != name
            if waiting[used] == 0 and used != name and used not in out:
                freed.append(used)
        ready += freed[::-1]
    return out
