"""LOWER tables of the numpy target: one row per op, merged from the families."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from luxgen.targets.numpy.rules.op import Op, Refused, Rule


@cache
def rules(table: str = "RULES") -> dict[str, Rule]:
    """All rows of `table` ("RULES" or "STATEFUL"); a name in two families is an error."""
    merged: dict[str, Rule] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        rows = getattr(importlib.import_module(f"{__name__}.{module}"), table, {})
        for name, rule in rows.items():
            if name in merged:
                raise ValueError(f"{table}: two rows for {name!r}, one in {module}")
            merged[name] = rule
    return merged


def has_rule(name: str) -> bool:
    """Whether any row translates ops of this name."""
    return name in rules() or name in rules("STATEFUL")


def template(op: Op, *, stateful: bool = False) -> str:
    """The NumPy expression for `op`, in terms of its argument names."""
    rule = rules("STATEFUL" if stateful else "RULES").get(op.name)
    if rule is None:
        raise Refused(f"{op.name} has no NumPy rule", "write it with supported ops")
    return rule if isinstance(rule, str) else rule(op)
