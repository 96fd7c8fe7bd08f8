"""Small questions about, and changes of, the syntax trees that a body is made of."""

from __future__ import annotations

import ast
from typing import Any

from luxgen.ir.values import Arg, Structure, Value
from luxgen.targets.numpy.access import Access

Line = tuple[int, str]  # indentation, text


def find(arg: Arg, value: Value, base: ast.expr) -> ast.expr | None:
    """The expression that reads `value` out of the container `arg`."""
    if arg is value:
        return base
    if isinstance(arg, (tuple, list)):
        pairs: list[tuple[ast.expr, Any]] = [
            (ast.Subscript(base, ast.Constant(k), ast.Load()), a)
            for k, a in enumerate(arg)
        ]
    elif isinstance(arg, dict):
        pairs = [
            (ast.Subscript(base, ast.Constant(k), ast.Load()), a)
            for k, a in arg.items()
        ]
    elif isinstance(arg, Structure):
        pairs = [(ast.Attribute(base, k, ast.Load()), a) for k, a in arg.fields]
    else:
        return None
    for inner, item in pairs:
        found = find(item, value, inner)
        if found is not None:
            return found
    return None


def may_precede(plain: list[Line], others: list[Line]) -> bool:
    """Whether `plain` lines may run before a block that then assigns the same names."""

    def names(lines: list[Line], kind: type[ast.expr_context]) -> set[str]:
        tree = ast.parse("\n".join(text for _, text in lines if not text.endswith(":")))
        nodes = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
        return {n.id for n in nodes if isinstance(n.ctx, kind)}

    return bool(plain) and not names(plain, ast.Store) & names(others, ast.Load)


def as_choice(flag: str, train: list[Line], test: list[Line]) -> Line | None:
    """`x = a if flag else b` for two blocks of one such line each, where it fits."""
    if len(train) != 1 or len(test) != 1:
        return None
    sides = [ast.parse(text).body for _, text in (*train, *test)]
    values = [s.value for (s,) in sides if isinstance(s, ast.Assign)]
    names = {ast.unparse(s.targets[0]) for (s,) in sides if isinstance(s, ast.Assign)}
    if len(values) != 2 or len(names) != 1 or not (name := names.pop()).isidentifier():
        return None
    a, b = (ast.unparse(value) for value in values)
    indent, text = train[0][0] - 1, f"{name} = {a} if {flag} else {b}"
    return (indent, text) if 4 * (indent + 1) + len(text) <= WIDTH else None


WIDTH = 88  # columns


def negated(condition: ast.expr) -> ast.expr:
    flip: dict[type, type] = {
        ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
        ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    }  # fmt: skip
    if isinstance(condition, ast.Compare) and type(condition.ops[0]) in flip:
        return ast.Compare(
            condition.left, [flip[type(condition.ops[0])]()], condition.comparators
        )
    return ast.UnaryOp(ast.Not(), condition)


def starred(tree: ast.expr, access: Access) -> ast.expr:
    """`f(x, ps.fc.weight, ps.fc.bias)` -> `f(x, *ps.fc)` where these are all fields."""

    class Star(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.Call:
            self.generic_visit(node)
            node.args = _star_tail(node.args, access)
            return node

    result = Star().visit(tree)
    assert isinstance(result, ast.expr)
    return result


def _star_tail(args: list[ast.expr], access: Access) -> list[ast.expr]:
    tail: list[ast.Attribute] = []
    for arg in reversed(args):
        if not isinstance(arg, ast.Attribute):
            break
        if tail and ast.unparse(arg.value) != ast.unparse(tail[0].value):
            break
        tail.insert(0, arg)
    if len(tail) < 2:
        return args
    fields = access.by_text.get(ast.unparse(tail[0].value))
    if (
        fields is None
        or [t.attr for t in tail] != fields[-len(tail) :]
        or len(fields) != len(tail)
    ):
        return args
    return [*args[: -len(tail)], ast.Starred(tail[0].value, ast.Load())]
