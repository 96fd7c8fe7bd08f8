"""`_` for values that are unpacked with others but not read any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import libcst as cst

from luxgen.targets.numpy.specialise_dead import read_by
from luxgen.targets.numpy.specialise_nodes import rebuilt
from luxgen.targets.numpy.specialise_suite import (
    Statements,
    reads,
    statements,
    with_block,
)


def blanked(node: cst.FunctionDef, original: cst.FunctionDef) -> cst.FunctionDef:
    """`for _, k in pairs` where only `original` reads the first."""
    was = read_by(original)
    if "_" in was:
        return node
    dead = was - reads(node.body)
    body = [_assigned(s, dead) for s in statements(node.body)] if dead else None
    if body is not None:
        node = with_block(node, body)
    return with_block(node, _loops(statements(node.body), was, set()))


def _assigned(node: Any, dead: set[str]) -> Any:
    """Names that nothing reads, in assignments that unpack."""
    if isinstance(node, cst.BaseExpression):
        return node
    if isinstance(node, cst.AssignTarget):
        return _with_blanks(node, dead)
    return rebuilt(node, lambda child: _assigned(child, dead))


def _loops(
    body: Sequence[cst.BaseStatement], was: set[str], later: set[str]
) -> Statements:
    """Loop variables that neither the loop reads nor what may run `later`."""
    out: list[Any] = []
    for statement in reversed(body):
        out.append(_loop(statement, was, later))
        later = later | reads(statement)
    return out[::-1]


def _loop(node: Any, was: set[str], later: set[str]) -> Any:
    if isinstance(node, (cst.For, cst.While)):
        inside = reads(node.body)
        later = later | inside
        if isinstance(node, cst.For):
            node = _with_blanks(node, was - later - _else_reads(node))
    if isinstance(node, (cst.For, cst.While, cst.If, cst.Else, cst.With)):
        node = with_block(node, _loops(statements(node.body), was, later))
    if isinstance(node, cst.If) and node.orelse is not None:
        other = _loop(node.orelse, was, later)
        node = node if other is node.orelse else node.with_changes(orelse=other)
    return node


def _else_reads(node: cst.For) -> set[str]:
    return set() if node.orelse is None else reads(node.orelse)


def _with_blanks(node: Any, dead: Iterable[str]) -> Any:
    """The node with `_` for the `dead` among the names that its target unpacks."""
    if not isinstance(node.target, (cst.Tuple, cst.List)):
        return node
    target = _blank(node.target, set(dead))
    return node if target is node.target else node.with_changes(target=target)


def _blank(target: cst.CSTNode, dead: set[str]) -> cst.CSTNode:
    if isinstance(target, cst.Name):
        return cst.Name("_") if target.value in dead else target
    if isinstance(target, (cst.Subscript, cst.Attribute)):
        return target
    return rebuilt(target, lambda child: _blank(child, dead))
