"""Comparison, logic, selection by a mask."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Refused, Rule, promoted
from luxgen.targets.numpy.rules.promotion import (
    elementwise,
    kind,
    np_dtype,
    number_kind,
    number_text,
)

COMPARISON = {
    "eq": "input == other",
    "ne": "input != other",
    "lt": "input < other",
    "le": "input <= other",
    "gt": "input > other",
    "ge": "input >= other",
}
LOGIC = {
    "logical_not": "np.logical_not(input)",
    "logical_and": "np.logical_and(input, other)",
    "logical_or": "np.logical_or(input, other)",
    "logical_xor": "np.logical_xor(input, other)",
    "isnan": "np.isnan(input)",
    "isinf": "np.isinf(input)",
    "isfinite": "np.isfinite(input)",
    "isposinf": "np.isposinf(input)",
    "isneginf": "np.isneginf(input)",
    "isreal": "np.isreal(input)",
    "signbit": "np.signbit(input)",
}


def truth(template: str) -> Rule:
    """`template`, in the dtype of the tensor it is written to in place."""
    plain = elementwise(template)

    def rule(op: Op) -> str:
        text = plain(op)
        if op.outs and op.out_dtype != "bool":
            return f"({text}).astype({np_dtype(op.out_dtype)})"
        return text

    return rule


def isclose(name: str) -> Rule:
    def rule(op: Op) -> str:
        given = [f", {n}={n}" for n in ("rtol", "atol", "equal_nan") if op.has(n)]
        text = f"np.{name}(input, other{''.join(given)})"
        return promoted(op, text, "input", "other")

    return rule


def where(op: Op) -> str:
    if "input" not in op.args:
        return "np.nonzero(condition)"
    if op.dtype("condition") != "bool":
        raise Refused("where with a condition that isn't bool", "compare it first")
    text = promoted(op, "np.where(condition, input, other)", "input", "other")
    if op.is_tensor("input") or op.is_tensor("other"):
        return text
    if op.out_dtype in ("int64", "bool"):  # what NumPy makes of two Python numbers
        return text
    dtype = np_dtype(op.out_dtype)
    return f"np.where(condition, {dtype}(input), {dtype}(other))"


def masked_fill(op: Op) -> str:
    """The result has input's dtype, whatever the value's is."""
    dtype = op.dtype("input")
    value = "value"
    if op.is_tensor("value"):
        if op.dtype("value") != dtype:
            value = f"value.astype({np_dtype(dtype)})"
    elif number_kind(op.args["value"]) > kind(dtype):
        value = f"{np_dtype(dtype)}(value)"
    else:
        scalar = op.ndim("input") == 0
        value = number_text("value", op.args["value"], dtype, cast=scalar)
    return f"np.where(mask, {value}, input)"


def masked_select(op: Op) -> str:
    if op.shape("input") == op.shape("mask") and op.ndim("input") > 0:
        return "input[mask]"
    return "masked_select(input, mask)"


RULES: dict[str, Rule] = {
    **{name: truth(text) for name, text in COMPARISON.items()},
    **{name: truth(text) for name, text in LOGIC.items()},
    "equal": "np.array_equal(input, other)",
    "is_nonzero": "bool(input)",
    "isclose": isclose("isclose"),
    "allclose": isclose("allclose"),
    "where": where,
    "masked_fill": masked_fill,
    "masked_select": masked_select,
    "masked_scatter": "masked_scatter(input, mask, source)",
}
