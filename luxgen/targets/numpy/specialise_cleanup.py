"""Tidy a folded function: join what came apart, restore lost declarations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import libcst as cst

from luxgen.targets.numpy.specialise_nodes import rebuilt, walk
from luxgen.targets.numpy.specialise_suite import Statements, statements, with_block


def tidied(node: cst.FunctionDef, original: cst.FunctionDef) -> cst.FunctionDef:
    """`node` as one would write it, where folding `original` left other forms."""
    body = _returned(statements(node.body), _names_returned(original))
    return _declared(with_block(node, body), original)


@cache
def _names_returned(node: cst.FunctionDef) -> set[str]:
    found = (n.value for n in walk(node) if isinstance(n, cst.Return))
    return {value.value for value in found if isinstance(value, cst.Name)}


def _returned(body: Sequence[cst.BaseStatement], kept: set[str]) -> Statements:
    """`y = f(x); return y` as one, unless the source returns y by itself."""
    out: Statements = []
    for statement in body:
        new = _inside(statement, kept)
        joined = _joined(out[-1], new, kept) if out else None
        if joined is not None:
            out[-1] = joined
        else:
            out.append(new)
    return out


def _inside(node: Any, kept: set[str]) -> Any:
    if isinstance(node, (cst.If, cst.Else, cst.For, cst.While, cst.With)):
        node = with_block(node, _returned(statements(node.body), kept))
    if isinstance(node, cst.If) and node.orelse is not None:
        other = _inside(node.orelse, kept)
        return node if other is node.orelse else node.with_changes(orelse=other)
    return node


def _joined(
    first: cst.BaseStatement, last: cst.BaseStatement, kept: set[str]
) -> cst.SimpleStatementLine | None:
    assign, result = _only(first), _only(last)
    if not isinstance(assign, cst.Assign) or not isinstance(result, cst.Return):
        return None
    target = assign.targets[0].target
    if len(assign.targets) > 1 or not isinstance(target, cst.Name):
        return None
    same = isinstance(result.value, cst.Name) and result.value.value == target.value
    if not same or target.value in kept or _commented(last):
        return None
    assert isinstance(first, cst.SimpleStatementLine)
    return first.with_changes(body=[result.with_changes(value=assign.value)])


def _only(node: cst.BaseStatement) -> cst.BaseSmallStatement | None:
    if isinstance(node, cst.SimpleStatementLine) and len(node.body) == 1:
        return node.body[0]
    return None


def _commented(node: Any) -> bool:
    above = any(line.comment for line in node.leading_lines)
    return above or node.trailing_whitespace.comment is not None


def _declared(node: cst.FunctionDef, original: cst.FunctionDef) -> cst.FunctionDef:
    """With the types of variables whose declaration was in a branch that went."""
    missing = dict(_declarations(original))
    if missing:
        for name in _declarations(node):
            missing.pop(name, None)
    if not missing:
        return node

    def change(child: cst.CSTNode) -> cst.CSTNode:
        if isinstance(child, cst.Assign) and len(child.targets) == 1:
            target = child.targets[0].target
            if isinstance(target, cst.Name) and target.value in missing:
                annotation = missing.pop(target.value)
                return cst.AnnAssign(target, annotation, child.value)
        if isinstance(child, cst.BaseExpression):
            return child
        return rebuilt(child, change)

    return rebuilt(node, change)


def _declarations(node: cst.FunctionDef) -> dict[str, cst.Annotation]:
    found = (n for n in walk(node) if isinstance(n, cst.AnnAssign))
    return {
        n.target.value: n.annotation for n in found if isinstance(n.target, cst.Name)
    }
