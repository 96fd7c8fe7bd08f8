"""VJP tables: one row per op, merged from the families."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from luxgen.passes.vjp.row import Vjp

_SHARED = ("row", "terms")


@cache
def vjps() -> dict[str, Vjp]:
    """All rows of the tables `VJP`; a name in two families is an error."""
    merged: dict[str, Vjp] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        if module in _SHARED:
            continue
        table = importlib.import_module(f"{__name__}.{module}").VJP
        for name, row in table.items():
            if name in merged:
                raise ValueError(f"VJP: two rows for {name!r}, one in {module}")
            merged[name] = row
    return merged
