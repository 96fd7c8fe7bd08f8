"""What mypy makes of NumPy expressions, as far as annotations depend on it.

NumPy's stubs give Any for reductions and for elements, and some functions of a sum;
comparisons, quotients and new arrays have types that other arrays don't fit.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

import numpy as np


class Static(NamedTuple):
    """An array's rank and dtype, where mypy is certain of them; or Any."""

    rank: int | None = None
    dtype: str | None = None
    any: bool = False

    def clashes(self, other: Static) -> bool:
        """Whether a variable of this type refuses a value of the other."""
        pairs = ((self.rank, other.rank), (self.dtype, other.dtype))
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)


Known = dict[str, Static]  # variables that are other than plain arrays
ARRAY, ANY, BOOL = Static(), Static(any=True), Static(dtype="bool")

_REDUCTIONS = frozenset({
    "sum", "mean", "max", "min", "prod", "std", "var", "argmax", "argmin", "trace",
    "item", "any", "all", "dot", "ptp",
})  # fmt: skip
_FUNCTIONS = _REDUCTIONS | {
    "amax", "amin", "count_nonzero", "einsum", "inner", "matmul", "vdot", "det",
    "multi_dot", "norm", "reduce",
}  # fmt: skip
_NEW = frozenset({"zeros", "ones", "full", "empty"})


def static(node: ast.expr, known: Known) -> Static:
    """The type of an expression; ARRAY where nothing else is certain."""
    match node:
        case ast.Name():
            return known.get(node.id, ARRAY)
        case ast.BinOp():
            return _binary(node, known)
        case ast.UnaryOp():
            return static(node.operand, known)
        case ast.Compare():
            equal = isinstance(node.ops[0], (ast.Eq, ast.NotEq))
            return ANY if equal else BOOL
        case ast.IfExp():
            sides = static(node.body, known), static(node.orelse, known)
            return sides[0] if sides[0] == sides[1] else ARRAY
        case ast.Subscript():
            return _item(node, known)
        case ast.Call(func=ast.Attribute() as func):
            return _call(node, func, known)
        case ast.Call(func=ast.Name(id=name)) if name.startswith("pull_"):
            return ANY
    return ARRAY


def _binary(node: ast.BinOp, known: Known) -> Static:
    left, right = static(node.left, known), static(node.right, known)
    if left.any or right.any:
        return ANY
    if left.dtype and isinstance(node.right, ast.BinOp) and not right.dtype:
        return ANY
    wide = isinstance(node.op, ast.Div) or any(
        isinstance(side, ast.Constant) and isinstance(side.value, float)
        for side in (node.left, node.right)
    )
    dtype = "float64" if wide else left.dtype or right.dtype
    return Static(dtype=dtype)


def _item(node: ast.Subscript, known: Known) -> Static:
    root: ast.expr = node.value
    while isinstance(root, (ast.Attribute, ast.Subscript)):
        root = root.value
    if isinstance(root, ast.Name) and root.id.startswith(("ps", "st")):
        return ARRAY  # a field, or an element of a tuple of them
    if static(node.value, known).any:
        return ANY
    index = node.slice
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    places = all(isinstance(part, (ast.Constant, ast.UnaryOp)) for part in parts)
    values = [part.value for part in parts if isinstance(part, ast.Constant)]
    plain = all(isinstance(value, int) for value in values)
    return ANY if places and plain else ARRAY


def _call(node: ast.Call, func: ast.Attribute, known: Known) -> Static:
    root: ast.expr = func
    while isinstance(root, ast.Attribute):
        root = root.value
    if isinstance(root, ast.Name) and root.id == "np":
        return _function(node, func.attr, known)
    if func.attr in _REDUCTIONS or static(func.value, known).any:
        return ANY
    if func.attr == "reshape" and node.args:
        return _reshaped(node)
    if func.attr == "astype" and isinstance(node.args[0], ast.Attribute):
        attribute = node.args[0]
        of_numpy = isinstance(attribute.value, ast.Name) and attribute.value.id == "np"
        return Static(dtype=attribute.attr if of_numpy else None)
    return ARRAY


def _function(node: ast.Call, name: str, known: Known) -> Static:
    if name in _FUNCTIONS:
        return ANY
    if name in _NEW:
        shape = node.args[0]
        return Static(rank=len(shape.elts) if isinstance(shape, ast.Tuple) else None)
    if name == "arange":
        return Static(rank=1)
    if name == "clip" or isinstance(getattr(np, name, None), np.ufunc):
        unsure = (a for a in node.args if isinstance(a, ast.BinOp))
        sums = any(not static(a, known).dtype for a in unsure)
        return ANY if sums or any(static(a, known).any for a in node.args) else ARRAY
    return ARRAY


def _reshaped(node: ast.Call) -> Static:
    sizes = node.args
    if len(sizes) == 1 and isinstance(sizes[0], ast.Tuple):
        sizes = sizes[0].elts
    elif len(sizes) == 1 and isinstance(sizes[0], ast.Attribute):
        return Static(rank=0)  # the first of the stubs' overloads that fits a .shape
    spread = any(isinstance(size, ast.Starred) for size in sizes)
    return ARRAY if spread else Static(rank=len(sizes))


__all__ = ["Known", "Static", "static"]
