"""Literals, child nodes and purity of libcst expressions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeGuard, TypeVar

import libcst as cst

N = TypeVar("N", bound=cst.CSTNode)

_LAYOUT = frozenset({
    "annotation", "asynchronous", "colon", "comma", "dot", "equal", "first_colon",
    "footer", "header", "indent", "lbracket", "lbrace", "leading_lines",
    "lines_after_decorators", "lpar", "operator", "rbracket", "rbrace", "returns",
    "rpar", "second_colon", "semicolon", "trailing_whitespace",
})  # fmt: skip


class Literal(NamedTuple):
    """The Python value of a literal expression."""

    value: Any


_FIELDS: dict[type[cst.CSTNode], tuple[str, ...]] = {}
_IS_NODE: dict[type[object], bool] = {}  # isinstance() is slow for libcst's nodes


def child_names(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    """Fields that may hold child nodes, in source order; layout left out."""
    if kind not in _FIELDS:
        names = (field.name for field in dataclasses.fields(kind))
        _FIELDS[kind] = tuple(
            n for n in names if n not in _LAYOUT and not n.startswith("whitespace")
        )
    return _FIELDS[kind]


def _is_node(value: object) -> bool:
    kind = type(value)
    if kind not in _IS_NODE:
        _IS_NODE[kind] = issubclass(kind, cst.CSTNode)
    return _IS_NODE[kind]


def rebuilt(node: N, change: Callable[[cst.CSTNode], cst.CSTNode]) -> N:
    """The node with every child changed; the very same node if none did."""
    changes: dict[str, Any] = {}
    for name in child_names(type(node)):
        old = getattr(node, name)
        if _is_node(old):
            new = change(old)
            if new is not old:
                changes[name] = new
        elif isinstance(old, (tuple, list)) and old:
            items = [change(o) if _is_node(o) else o for o in old]
            if any(a is not b for a, b in zip(items, old, strict=True)):
                changes[name] = items
    return node.with_changes(**changes) if changes else node


def children(node: cst.CSTNode) -> list[cst.CSTNode]:
    found: list[cst.CSTNode] = []
    for name in child_names(type(node)):
        child = getattr(node, name)
        if _is_node(child):
            found.append(child)
        elif isinstance(child, (tuple, list)):
            found += (c for c in child if _is_node(c))
    return found


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The node and all below it, in no particular order."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += children(node)


def literal(node: cst.CSTNode) -> Literal | None:
    """The value of a number, string, bool, None, or of a tuple of these."""
    if isinstance(node, (cst.Integer, cst.Float, cst.Imaginary)):
        return Literal(node.evaluated_value)
    if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        text = node.evaluated_value
        return Literal(text) if isinstance(text, str) else None
    if isinstance(node, cst.Name):
        return _CONSTANTS.get(node.value)
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
        inner = literal(node.expression)
        if inner is None or isinstance(inner.value, (bool, str, tuple, type(None))):
            return None
        return Literal(-inner.value)
    if isinstance(node, cst.Tuple):
        parts = [literal(e.value) for e in node.elements if _plain(e)]
        if len(parts) == len(node.elements) and None not in parts:
            return Literal(tuple(p.value for p in parts if p is not None))
    return None


_CONSTANTS = {
    "True": Literal(True),
    "False": Literal(False),
    "None": Literal(None),
}


def literal_node(value: Any) -> cst.BaseExpression:
    """The expression of a number, bool, None, string or tuple."""
    return cst.parse_expression(repr(value))


def same(a: Any, b: Any) -> bool:
    """Equal and of the same type, also inside tuples: 1, 1.0 and True differ."""
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple):
        pairs = zip(a, b, strict=False)
        return len(a) == len(b) and all(same(x, y) for x, y in pairs)
    return repr(a) == repr(b) if isinstance(a, float) else bool(a == b)


def _plain(element: cst.BaseElement) -> TypeGuard[cst.Element]:
    return isinstance(element, cst.Element)


def display(node: cst.BaseExpression) -> list[cst.BaseExpression] | None:
    """The elements of a tuple or list display without stars."""
    if isinstance(node, (cst.Tuple, cst.List)) and all(map(_plain, node.elements)):
        return [e.value for e in node.elements]
    return None


def tuple_of(parts: Sequence[cst.BaseExpression]) -> cst.Tuple:
    return cst.Tuple([cst.Element(p) for p in parts])


def simple(node: cst.BaseExpression) -> bool:
    """A literal, a name, or a tuple of these: may stand wherever its value is read."""
    if isinstance(node, cst.Name) or literal(node) is not None:
        return True
    parts = display(node) if isinstance(node, cst.Tuple) else None
    return parts is not None and all(map(simple, parts))


def names_in(node: cst.CSTNode) -> set[str]:
    return {n.value for n in walk(node) if isinstance(n, cst.Name)}


_ATOMS = (cst.Name, cst.Attribute, cst.Subscript, cst.Call, cst.List, cst.Dict,
          cst.Float, cst.Integer, cst.SimpleString, cst.FormattedString)  # fmt: skip


def in_place_of(new: cst.BaseExpression, old: cst.BaseExpression) -> cst.BaseExpression:
    """`new` with the parentheses that it needs where `old` stood in its own."""
    return parenthesised(new) if old.lpar and not isinstance(new, _ATOMS) else new


def parenthesised(node: cst.BaseExpression) -> cst.BaseExpression:
    if node.lpar:
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def as_operand(node: cst.BaseExpression) -> cst.BaseExpression:
    """Parenthesised unless it binds as tightly as an attribute's value must."""
    atomic = isinstance(node, _ATOMS) and not isinstance(node, (cst.Integer, cst.Float))
    return node if atomic else parenthesised(node)


_SUMS = (cst.Add, cst.Subtract)
_PRODUCTS = (cst.Multiply, cst.Divide, cst.FloorDivide, cst.Modulo)


def as_left(node: cst.BaseExpression, op: cst.BaseBinaryOp) -> cst.BaseExpression:
    """As the left operand: `-1` needs parentheses before `**`, no sum before `+`."""
    if isinstance(op, cst.Power):
        return as_operand(node) if isinstance(node, cst.UnaryOperation) else node
    if isinstance(node, cst.BinaryOperation) and isinstance(op, _SUMS):
        plain = isinstance(node.operator, _SUMS + _PRODUCTS)
        return node.with_changes(lpar=[], rpar=[]) if plain else node
    return node


def as_condition(node: cst.BaseExpression) -> cst.BaseExpression:
    """As an operand of `and` or `or`, where a comparison needs no parentheses."""
    bare = isinstance(node, cst.Comparison) and len(node.lpar) > 0
    return node.with_changes(lpar=[], rpar=[]) if bare else node


def unparenthesised(node: cst.BaseExpression) -> cst.BaseExpression:
    """As the whole right side of a statement: a tuple on one line stands bare."""
    if not isinstance(node, cst.Tuple) or len(node.elements) < 2 or not node.lpar:
        return node
    bare = node.with_changes(lpar=[], rpar=[])
    return node if "\n" in cst.Module([]).code_for_node(bare) else bare


_PURE_BUILTINS = frozenset({
    "abs", "bool", "enumerate", "float", "int", "isinstance", "len", "list", "max",
    "min", "range", "slice", "sorted", "sum", "tuple", "zip",
})  # fmt: skip
_PURE_METHODS = frozenset({
    "all", "any", "argmax", "argmin", "astype", "copy", "max", "mean", "min", "ravel",
    "repeat", "reshape", "squeeze", "sum", "swapaxes", "take", "transpose", "type",
})  # fmt: skip
_PURE = (
    cst.Arg, cst.Attribute, cst.BinaryOperation, cst.BooleanOperation, cst.Comparison,
    cst.ComparisonTarget, cst.Element, cst.Float, cst.IfExp, cst.Index, cst.Integer,
    cst.List, cst.Name, cst.SimpleString, cst.Slice, cst.StarredElement, cst.Subscript,
    cst.SubscriptElement, cst.Tuple, cst.UnaryOperation, cst.Ellipsis,
)  # fmt: skip


def pure(node: cst.CSTNode) -> bool:
    """Certainly without an effect, so that it may be left out."""
    if isinstance(node, cst.Call):
        if any(arg.keyword and arg.keyword.value == "out" for arg in node.args):
            return False
        return _pure_function(node.func) and all(map(pure, node.args))
    return isinstance(node, _PURE) and all(map(pure, children(node)))


def _pure_function(func: cst.BaseExpression) -> bool:
    if isinstance(func, cst.Name):
        return func.value in _PURE_BUILTINS
    if not isinstance(func, cst.Attribute):
        return False
    path = dotted(func)
    if path and path[0] in ("np", "math"):
        return not _WRITING.intersection(path)
    return func.attr.value in _PURE_METHODS and pure(func.value)


_WRITING = frozenset({
    "at", "copyto", "fill_diagonal", "put", "put_along_axis", "random",
})  # fmt: skip


def dotted(node: cst.BaseExpression) -> list[str]:
    """["np", "random", "rand"] of `np.random.rand`; empty if it isn't a dotted name."""
    if isinstance(node, cst.Name):
        return [node.value]
    if isinstance(node, cst.Attribute):
        path = dotted(node.value)
        return [*path, node.attr.value] if path else []
    return []
