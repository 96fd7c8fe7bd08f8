"""Which trees the body of a rolled loop reads."""

from __future__ import annotations

from luxgen.ir.program import Call, Loop, Op, Path, Unwind, args_of, items_in
from luxgen.ir.values import Leaf, Node


def kinds_read(loop: Loop | Unwind, star: Path) -> set[str]:
    """Which of "ps" and "st" are read below `star`, the element that the loop is at."""
    kinds: set[str] = set()
    for item in items_in(loop.body):
        if isinstance(item, Call) and item.path[: len(star)] == star:
            if item.function.reads_ps:
                kinds.add("ps")
            if item.function.reads_st:
                kinds.add("st")
        own = item.state if isinstance(item, Op) else None
        if own is not None and own[: len(star)] == star:
            kinds.add("st")
        for arg in args_of(item):
            if isinstance(arg, (Leaf, Node)) and arg.path[: len(star)] == star:
                kinds.add(arg.kind)
    return kinds
