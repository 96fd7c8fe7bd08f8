"""The passes, in order."""

from __future__ import annotations

from functools import partial

from luxgen.ir.check import check
from luxgen.ir.program import Call, Function, items_in
from luxgen.passes.cleanup import clean
from luxgen.passes.effects import mark
from luxgen.passes.fold import fold
from luxgen.passes.loops import roll

EACH = (mark, clean, mark)  # on every function, callees first
EACH_WITH_GRADIENTS = (mark, partial(clean, gradients=True), mark)
AFTER_FOLD = (roll,)  # on every function that remains


def run(main: Function, *, gradients: bool = False) -> list[Function]:
    """All passes over `main` and its callees; the functions that remain, in order."""
    for function in callees_first(main):
        for each in EACH_WITH_GRADIENTS if gradients else EACH:
            each(function)
            check(function)
    functions = fold(main, broadcasts=gradients)
    for function in functions:
        for after in AFTER_FOLD:
            after(function)
            check(function)
    return functions


def callees_first(main: Function) -> list[Function]:
    """`main` and all it calls, each after its callees."""
    seen: dict[Function, None] = {}

    def visit(function: Function) -> None:
        for item in items_in(function.body):
            if isinstance(item, Call) and item.function not in seen:
                visit(item.function)
        seen.setdefault(function)

    visit(main)
    return list(seen)
