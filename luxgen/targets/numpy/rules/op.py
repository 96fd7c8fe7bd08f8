"""What a NumPy rule sees of an op, and the forms a rule may take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from luxgen.ir.values import Arg, Dim, Leaf, Value
from luxgen.targets.numpy.rules.promotion import promoted, result_type

__all__ = ["CALL", "Op", "Refused", "Rule", "helper", "promoted", "result_type"]


class Refused(Exception):
    """An op that can't be translated right: the reason, and what to do instead."""

    def __init__(self, reason: str, suggestion: str = "") -> None:
        super().__init__(reason)
        self.reason, self.suggestion = reason, suggestion


@dataclass
class Op:
    """One bound call: argument names are torch's, defaults are dropped."""

    name: str
    args: dict[str, Arg]
    outs: tuple[Value, ...] = ()
    overload: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        return self.args.get(name) is not None

    def const(self, name: str, default: Any = None) -> Any:
        """The Python constant given as `name`."""
        value = self.args.get(name, default)
        if isinstance(value, Dim) and value.fixed:
            return value.value
        if isinstance(value, (Value, Leaf, Dim)):
            raise Refused(f"{self.name}: {name} must be a constant, not a traced value")
        return value

    def is_tensor(self, name: str) -> bool:
        return isinstance(self.args.get(name), (Value, Leaf))

    def dtype(self, name: str) -> str:
        """NumPy's dtype name of a tensor; "bool"/"int"/"float"/"complex" of a number."""
        value = self.args[name]
        if isinstance(value, (Value, Leaf, Dim)):
            return value.dtype
        return type(value).__name__

    def ndim(self, name: str) -> int:
        value = self.args[name]
        return value.ndim if isinstance(value, (Value, Leaf)) else 0

    def shape(self, name: str) -> tuple[int, ...]:
        """Sizes seen while tracing: never print them unless they are a parameter's."""
        value = self.args[name]
        return value.shape if isinstance(value, (Value, Leaf)) else ()

    @property
    def out_dtype(self) -> str:
        return self.outs[0].dtype

    @property
    def out_ndim(self) -> int:
        return self.outs[0].ndim


Rule = str | Callable[[Op], str]


def helper(op: Op, name: str | None = None, **rename: str) -> str:
    """The call of helper `name`: positional tensors, keyword options, no defaults.

    `rename` maps a helper's parameter to torch's argument name; the helper's first
    parameter `x` takes torch's `input`.
    """
    from luxgen.targets.numpy.helpers import helper_function

    function = helper_function(name or op.name)
    known, parts, skipped = set(), [], False
    for parameter in inspect.signature(function).parameters.values():
        source = rename.get(parameter.name, parameter.name)
        if source == "x" and "x" not in op.args:
            source = "input"
        known.add(source)
        if source not in op.args or _same(op.args[source], parameter.default):
            skipped = skipped or parameter.kind is not parameter.KEYWORD_ONLY
            continue
        if parameter.kind is parameter.KEYWORD_ONLY or skipped:
            parts.append(f"{parameter.name}={source}")
        else:
            parts.append(source)
    unknown = set(op.args) - known
    if unknown:
        raise Refused(f"{op.name}: argument {sorted(unknown)[0]!r} isn't supported")
    return f"{function.__name__}({', '.join(parts)})"


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def CALL(op: Op) -> str:
    """Rule: call the helper of the op's own name."""
    return helper(op)
