"""Substitute arguments into a rule's template, as Python syntax trees."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any

from luxgen.ir.values import Arg, Dim, Leaf, Node, Option, Value

Show = Callable[[Any], ast.expr]


def substitute(template: str, args: Mapping[str, Arg], show: Show) -> ast.expr:
    """The template with every argument name replaced by its argument.

    `show` prints whatever isn't a Python constant or container; `*name` splices a tuple argument.
    Example: ("input.reshape(*shape)", x, (n, 4)) -> x.reshape(n, 4).
    """
    tree = ast.parse(template, mode="eval").body
    result = _Substitute(args, show).visit(tree)
    assert isinstance(result, ast.expr)
    return result


def constant(value: Arg, show: Show) -> ast.expr:
    """Any argument as an expression: literals, containers, values, dims."""
    if isinstance(value, (Value, Leaf, Node, Dim, Option, ast.expr)):
        return show(value)
    if isinstance(value, tuple):
        return ast.Tuple([constant(v, show) for v in value], ast.Load())
    if isinstance(value, list):
        return ast.List([constant(v, show) for v in value], ast.Load())
    if isinstance(value, dict):
        return ast.Dict(
            [ast.Constant(k) for k in value],
            [constant(v, show) for v in value.values()],
        )
    if isinstance(value, slice):
        parts = (value.start, value.stop, value.step)
        return ast.Slice(*(None if p is None else constant(p, show) for p in parts))
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return ast.Constant(value)
    if value is Ellipsis:
        return ast.Constant(Ellipsis)
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, complex):
        return ast.parse(repr(complex(value)), mode="eval").body
    raise TypeError(f"no literal for {type(value).__name__}")


def _number(value: int | float) -> ast.expr:
    plain = float(value) if isinstance(value, float) else int(value)
    if math.isnan(plain):
        return ast.parse("np.nan", mode="eval").body
    if math.isinf(plain):
        return ast.parse("np.inf" if plain > 0 else "-np.inf", mode="eval").body
    if plain < 0 or (plain == 0 and math.copysign(1, plain) < 0):
        return ast.UnaryOp(ast.USub(), ast.Constant(-plain))
    return ast.Constant(plain)


class _Substitute(ast.NodeTransformer):
    def __init__(self, args: Mapping[str, Arg], show: Show) -> None:
        self.args, self.show = args, show

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.args:
            return constant(self.args[node.id], self.show)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        args: list[ast.expr] = []
        for arg in node.args:
            if isinstance(arg, ast.Starred) and isinstance(arg.value, ast.Name):
                value = self.args.get(arg.value.id)
                if isinstance(value, (tuple, list)):
                    args.extend(constant(v, self.show) for v in value)
                    continue
            args.append(self.visit(arg))
        keywords = [ast.keyword(k.arg, self.visit(k.value)) for k in node.keywords]
        return ast.Call(self.visit(node.func), args, keywords)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        index = self.visit(node.slice)
        return ast.Subscript(self.visit(node.value), index, ast.Load())
