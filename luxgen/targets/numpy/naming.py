"""Local names: the source's where they are free, else short ones."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable, Iterable

from luxgen.ir.values import Value

_BUILTINS = frozenset(dir(builtins))
_NO_ARRAYS = ("opaque", "tree")  # values of these dtypes are of types of their own


def snake(name: str) -> str:
    """CamelCase -> snake_case: BasicBlock -> basic_block, GRUPolicy -> gru_policy."""
    name = "".join(
        c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name
    )
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower().strip("_")
    return name if name and not name[0].isdigit() else f"n{name}"


def safe(name: str, reserved: Iterable[str]) -> str:
    """`name` as an identifier that shadows nothing the module uses."""
    name = "".join(
        c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name
    )
    name = name.strip("_") or "x"
    if name[0].isdigit():
        name = f"n{name}"
    while keyword.iskeyword(name) or name in _BUILTINS or name in reserved:
        name += "_"
    return name


class Groups:
    """Values that share one variable: a loop's carried value in all its stages."""

    def __init__(self) -> None:
        self._parent: dict[Value, Value] = {}

    def find(self, value: Value) -> Value:
        while self._parent.get(value, value) is not value:
            value = self._parent[value]
        return value

    def join(self, a: Value, b: Value) -> None:
        a, b = self.find(a), self.find(b)
        if a is not b:
            self._parent[b] = a


class Names:
    """Assigns names to variables so that no two live ones share a name."""

    def __init__(self, reserved: Iterable[str]) -> None:
        self.reserved = frozenset(reserved)
        self._spans: dict[str, list[tuple[int, int]]] = {}
        self._numbered: dict[str, str] = {}  # x1: x
        self._owners: dict[str, Value] = {}  # of names that hold no arrays
        self._numbers: dict[str, bool] = {}  # whether a name holds sizes
        self.chosen: dict[Value, str] = {}

    def give(self, value: Value, wanted: list[str], span: tuple[int, int]) -> str:
        """The first wanted name that is free over `span`, else a numbered one."""
        candidates = [safe(n, self.reserved) for n in wanted] or ["x"]
        for name in candidates:
            if self._free(name, value, span):
                return self._take(value, name, span)
        base, count = self._numbered.get(candidates[0], candidates[0]), 1
        while not self._free(f"{base}{count}", value, span):
            count += 1
        self._numbered[f"{base}{count}"] = base
        return self._take(value, f"{base}{count}", span)

    def _free(self, name: str, value: Value, span: tuple[int, int]) -> bool:
        if self._owners.get(name, value) is not value:
            return False
        number = value.dtype == "int"  # a size
        if self._numbers.get(name, number) is not number:
            return False  # one name holds numbers or arrays
        spans, (low, high) = self._spans.get(name, []), span
        if value.dtype in _NO_ARRAYS and spans:
            return False  # one name holds one type
        return all(high <= a or low >= b for a, b in spans)

    def _take(self, value: Value, name: str, span: tuple[int, int]) -> str:
        if value.dtype in _NO_ARRAYS:
            self._owners[name] = value
        self._numbers[name] = value.dtype == "int"
        self._spans.setdefault(name, []).append(span)
        self.chosen[value] = name
        return name


Chooser = Callable[[Value], list[str]]
