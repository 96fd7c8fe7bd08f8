"""Forward rules of ops that keep something for their way back."""

from __future__ import annotations

from dataclasses import replace

from luxgen.targets.numpy.rules.op import Op, Rule


def saving(rule: Rule) -> Rule:
    """`rule`'s call of a helper as the call of its `_saved` form."""

    def saved(op: Op) -> str:
        plain = replace(op, name=op.name.removesuffix("_saved"))
        text = rule if isinstance(rule, str) else rule(plain)
        opened = "(" * text.startswith("(")  # (call, state)
        name, _, rest = text.removeprefix(opened).partition("(")
        return f"{opened}{name}_saved({rest}"

    return saved
