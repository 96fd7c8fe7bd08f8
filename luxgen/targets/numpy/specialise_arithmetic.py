"""Operators on literals, and whole-number arithmetic that changes nothing."""

from __future__ import annotations

import operator
from typing import Any

import libcst as cst

from luxgen.targets.numpy.specialise_facts import ARRAYS, INTEGRAL, Kinds
from luxgen.targets.numpy.specialise_nodes import (
    Literal,
    display,
    in_place_of,
    literal,
    literal_node,
    pure,
    simple,
    tuple_of,
)

_BINARY: dict[type[cst.BaseBinaryOp], Any] = {
    cst.Add: operator.add,
    cst.Subtract: operator.sub,
    cst.Multiply: operator.mul,
    cst.FloorDivide: operator.floordiv,
    cst.Modulo: operator.mod,
}
_COMPARE: dict[type[cst.BaseCompOp], Any] = {
    cst.Equal: operator.eq,
    cst.NotEqual: operator.ne,
    cst.LessThan: operator.lt,
    cst.LessThanEqual: operator.le,
    cst.GreaterThan: operator.gt,
    cst.GreaterThanEqual: operator.ge,
    cst.In: lambda a, b: a in b,
    cst.NotIn: lambda a, b: a not in b,
    cst.Is: lambda a, b: a is b,
    cst.IsNot: lambda a, b: a is not b,
}
_FUNCTIONS: dict[str, Any] = {
    "abs": abs,
    "bool": bool,
    "len": len,
    "max": max,
    "min": min,
}


def compared(left: Any, op: cst.BaseCompOp, right: Any) -> bool | None:
    """The result of one comparison of constants; None where it has none."""
    function = _COMPARE.get(type(op))
    identity = isinstance(op, (cst.Is, cst.IsNot))
    if function is None or (identity and left is not None and right is not None):
        return None
    try:
        return bool(function(left, right))
    except TypeError:
        return None


def applied(name: str, args: list[cst.BaseExpression]) -> cst.BaseExpression | None:
    """abs, len, max, ... of literals that are whole numbers, or tuples of any."""
    values = [literal(arg) for arg in args]
    if name not in _FUNCTIONS or not values:
        return None
    whole = all(v is not None and type(v.value) is int for v in values)
    only = values[0].value if len(values) == 1 and values[0] is not None else None
    if (whole and name != "len") or isinstance(only, tuple):
        try:
            return literal_node(_FUNCTIONS[name](*(v.value for v in values if v)))
        except (TypeError, ValueError):
            return None
    return None


def arithmetic(
    node: cst.BinaryOperation, left_kinds: Kinds, right_kinds: Kinds
) -> cst.BaseExpression:
    """`node` without what its new literals make idle: n + 0, n * 1, (n - 1) + 1.

    Only where the other side is a whole number or an array of these: adding 0 or
    multiplying by 1 would turn a bool array into one of integers.
    """
    left, right = literal(node.left), literal(node.right)
    if isinstance(node.operator, cst.Multiply) and right is not None:
        repeated = _repeated(node.left, right)
        if repeated is not None:
            return repeated
    if left is not None and right is not None:
        return _of_literals(node, left, right)
    whole = INTEGRAL | ARRAYS - {"array"}
    result: cst.BaseExpression | None = None
    if right is not None and type(right.value) is int and left_kinds <= whole:
        result = _with_right(node, right.value, left_kinds <= INTEGRAL)
    elif left is not None and type(left.value) is int and right_kinds <= whole:
        result = _with_left(node, left.value, right_kinds <= INTEGRAL)
    return node if result is None else in_place_of(result, node)


def _of_literals(
    node: cst.BinaryOperation, left: Literal, right: Literal
) -> cst.BaseExpression:
    function = _BINARY.get(type(node.operator))
    numbers = (int, float)
    if function is None or type(left.value) not in numbers:
        return node
    if type(right.value) not in numbers or (right.value == 0 and function in _DIVIDE):
        return node
    value = function(left.value, right.value)
    if isinstance(value, float):  # exact either way; 0.30000000000000004 reads worse
        source = cst.Module([]).code_for_node(node)
        if len(repr(value)) > len(source):
            return node
    return literal_node(value)


_DIVIDE = (operator.floordiv, operator.mod)


def _repeated(node: cst.BaseExpression, count: Literal) -> cst.BaseExpression | None:
    """(a, a) of (a,) * 2."""
    parts = display(node) if isinstance(node, cst.Tuple) else None
    if parts is None or type(count.value) is not int or not all(map(simple, parts)):
        return None
    return tuple_of(parts * count.value) if count.value > 0 else None


def _with_right(
    node: cst.BinaryOperation, c: int, number: bool
) -> cst.BaseExpression | None:
    """left <operator> c."""
    op, left = node.operator, node.left
    if isinstance(op, (cst.Add, cst.Subtract)):
        c = -c if isinstance(op, cst.Subtract) else c
        inner = _offset(left) if number else None
        if inner is not None:
            return _plus(inner[0], inner[1] + c, node)
        return left if c == 0 else None
    if isinstance(op, cst.Multiply) and c == 0 and number and pure(left):
        return cst.Integer("0")
    idle = isinstance(op, (cst.Multiply, cst.FloorDivide)) and c == 1
    return left if idle else None


def _with_left(
    node: cst.BinaryOperation, c: int, number: bool
) -> cst.BaseExpression | None:
    """c <operator> right."""
    op, right = node.operator, node.right
    if isinstance(op, cst.Add) and c == 0:
        return right
    if isinstance(op, cst.Subtract) and c == 0:
        return None
    if isinstance(op, cst.Multiply) and c == 0 and number and pure(right):
        return cst.Integer("0")
    return right if isinstance(op, cst.Multiply) and c == 1 else None


def _offset(node: cst.BaseExpression) -> tuple[cst.BaseExpression, int] | None:
    """(n, -1) of n - 1."""
    if not isinstance(node, cst.BinaryOperation):
        return None
    c = literal(node.right)
    if c is None or type(c.value) is not int:
        return None
    if isinstance(node.operator, cst.Add):
        return node.left, c.value
    return (node.left, -c.value) if isinstance(node.operator, cst.Subtract) else None


def _plus(
    left: cst.BaseExpression, c: int, node: cst.BinaryOperation
) -> cst.BaseExpression:
    if c == 0:
        return left
    op = cst.Add() if c > 0 else cst.Subtract()
    return node.with_changes(left=left, operator=op, right=cst.Integer(str(abs(c))))
