"""Text of calls with window arguments: one number or one per spatial axis."""

from __future__ import annotations

import inspect
from typing import Any

from luxgen.ir.values import Option
from luxgen.targets.numpy.helpers import helper_function
from luxgen.targets.numpy.rules.op import Op, Refused


def window(op: Op, name: str) -> str | None:
    """The text of a window argument, a single number if all axes agree on it."""
    value = op.args.get(name)
    if value is None or value in ((), []):
        return None
    if isinstance(value, (tuple, list)):
        if constant(value):
            return str(value[0]) if len(set(value)) == 1 else str(tuple(value))
        return name if isinstance(value, tuple) else f"tuple({name})"
    return str(value) if constant(value) else name


def per_axis(op: Op, name: str, nd: int) -> str | None:
    """The text of a window argument with one entry for each of `nd` axes."""
    value = op.args.get(name)
    if value is None or value in ((), []):
        return None
    if isinstance(value, Option):  # a number or one per axis, by the call
        return f"ntuple({name}, {nd})"
    if not isinstance(value, (tuple, list)):
        return str((value,) * nd) if constant(value) else f"({name},) * {nd}"
    if len(value) == 1 < nd:
        return str(tuple(value) * nd) if constant(value) else f"tuple({name}) * {nd}"
    if constant(value):
        return str(tuple(value))
    return name if isinstance(value, tuple) else f"tuple({name})"


def constant(value: Any) -> bool:
    """A Python number or None, or a sequence of them: nothing traced."""
    if isinstance(value, (tuple, list)):
        return all(constant(v) for v in value)
    return value is None or type(value) in (int, float)


def call(function: str, *args: str, **options: str | None) -> str:
    """Call a helper, without the options that are absent or the helper's defaults."""
    parameters = inspect.signature(helper_function(function)).parameters
    given = [
        f"{name}={text}"
        for name, text in options.items()
        if text is not None and text != repr(parameters[name].default)
    ]
    return f"{function}({', '.join([*args, *given])})"


def flag(op: Op, name: str, *, default: bool = False) -> bool:
    value = op.const(name, default)
    return default if value is None else bool(value)


def batched(op: Op, nd: int) -> tuple[str, str]:
    """Text of the input with a batch axis, and of the index that removes it again."""
    if op.ndim("input") == nd + 2:
        return "input", ""
    return "input[None]", "[0]"


def require_float(op: Op) -> None:
    if not op.dtype("input").startswith(("float", "complex")):
        raise Refused(
            f"{op.name} of {op.dtype('input')} isn't supported",
            "convert the input to float first",
        )


def sequence(op: Op, name: str) -> str:
    """The text of a list argument as a tuple."""
    value = op.args[name]
    if isinstance(value, (tuple, list)) and constant(value):
        return str(tuple(value))
    return name if isinstance(value, tuple) else f"tuple({name})"
