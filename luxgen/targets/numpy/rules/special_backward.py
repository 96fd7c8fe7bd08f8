"""Derivatives that nobody knows."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Refused, Rule


def no_derivative(op: Op) -> str:
    raise Refused(
        f"{op.const('of')} has no known derivative by {op.const('argument')!r}",
        "detach that argument, or leave out the gradient",
    )


RULES: dict[str, Rule] = {"no_derivative": no_derivative}
