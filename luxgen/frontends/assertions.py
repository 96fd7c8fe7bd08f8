"""Data that only an assertion looks at doesn't steer the model."""

from __future__ import annotations

import ast
import linecache
from functools import lru_cache
from types import FrameType


def only_asserts(frame: FrameType | None) -> bool:
    """The statement `frame` is at is an assert, or an `if` that only raises or warns."""
    if frame is None:
        return False
    tree = _tree(frame.f_code.co_filename)
    if tree is None:
        return False
    inner: ast.stmt | None = None
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assert, ast.If)):
            last = node.test.end_lineno if isinstance(node, ast.If) else node.end_lineno
            if node.lineno <= frame.f_lineno <= (last or node.lineno):
                inner = node
    if isinstance(inner, ast.If):
        return not inner.orelse and all(_only_speaks(s) for s in inner.body)
    return isinstance(inner, ast.Assert)


def _only_speaks(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise):
        return True
    call = statement.value if isinstance(statement, ast.Expr) else None
    name = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
    return name in ("print", "warnings.warn", "logger.warning", "logger.warning_once")


@lru_cache(maxsize=256)
def _tree(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return None
