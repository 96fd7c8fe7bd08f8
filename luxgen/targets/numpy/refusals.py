"""Ops of a program that the numpy target can't write, all of them."""

from __future__ import annotations

from luxgen.ir.program import Line, Op, Program, items_in
from luxgen.targets.numpy.rules import template
from luxgen.targets.numpy.rules.op import Op as View
from luxgen.targets.numpy.rules.op import Refused

OF_THE_WRITER = frozenset({"grown", "as_node"})  # classes of `ps`: no row knows them
Refusal = tuple[Line, str, str]  # where, reason, suggestion


def refusals(program: Program) -> list[Refusal]:
    """Every place whose rule is missing or refuses, in the order of the source."""
    found: dict[Refusal, None] = {}
    for function in (*program.functions, *program.vjps):
        back = [] if function.pullback is None else function.pullback.body
        for item in items_in([*function.body, *back]):
            if isinstance(item, Op) and item.name not in OF_THE_WRITER:
                view = View(item.name, item.args, item.outs, item.overload)
                try:
                    template(view, stateful=item.state is not None)
                except Refused as error:
                    found.setdefault((item.line, error.reason, error.suggestion))
    return list(found)
