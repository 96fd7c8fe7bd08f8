"""The field of `st` that a random op which a forward calls itself draws from."""

from __future__ import annotations

from collections.abc import Container

from luxgen.frontends.records import Scope
from luxgen.frontends.vocabulary import FIELD_NAMES, RANDOM, RANDOM_OPTION
from luxgen.ir.program import Op


def give_state(record: Op, scope: Scope, taken: Container[str]) -> None:
    """Give a random op a state of its own in `scope`, none of the names in `taken`."""
    kind = RANDOM.get(record.name)
    if record.name in RANDOM_OPTION:
        option, off = RANDOM_OPTION[record.name]
        kind = "DropoutState" if record.args.get(option, off) != off else None
    if kind is None:
        return
    field = FIELD_NAMES.get(record.name, record.name)
    count = sum(
        isinstance(i, Op) and i.state is not None and i.name == record.name
        for i in scope.items
    )
    field = f"{field}_{count + 1}" if count else field
    while field in taken:
        field += "_"
    record.kind, record.state = kind, (*scope.path, field)
