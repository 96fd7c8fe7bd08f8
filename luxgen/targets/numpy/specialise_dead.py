"""Leave out assignments that nothing reads any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import libcst as cst

from luxgen.targets.numpy.specialise_library import Helper
from luxgen.targets.numpy.specialise_nodes import (
    display,
    pure,
    tuple_of,
    unparenthesised,
    walk,
)
from luxgen.targets.numpy.specialise_suite import (
    Statements,
    reads,
    statements,
    targets,
    with_block,
)


def without_dead(
    node: cst.FunctionDef, original: cst.FunctionDef, helpers: Mapping[str, Helper]
) -> cst.FunctionDef:
    """`node` less assignments, free of effects, to what only `original` reads."""
    while True:
        dead = read_by(original) - reads(node.body)
        if not dead:
            return node
        new = with_block(node, _Dead(dead, helpers).block(statements(node.body)))
        if new is node:
            return node
        node = new


@cache
def read_by(original: cst.FunctionDef) -> set[str]:
    return reads(original.body)


class _Dead:
    def __init__(self, names: set[str], helpers: Mapping[str, Helper]) -> None:
        self.names, self.helpers = names, helpers

    def block(self, body: Sequence[cst.BaseStatement]) -> Statements:
        kept = (self._statement(statement) for statement in body)
        return [statement for statement in kept if statement is not None]

    def _statement(self, node: cst.BaseStatement) -> cst.BaseStatement | None:
        if isinstance(node, cst.SimpleStatementLine):
            return self._line(node)
        if isinstance(node, cst.If):
            return self._if(node)
        if isinstance(node, (cst.For, cst.While, cst.With)):
            body = self.block(statements(node.body))
            return None if not body and _idle(node) else with_block(node, body)
        return node

    def _if(self, node: cst.If) -> cst.If | None:
        then = self.block(statements(node.body))
        other = node.orelse
        if isinstance(other, cst.If):
            other = self._if(other)
        elif other is not None:
            body = self.block(statements(other.body))
            other = with_block(other, body) if body else None
        if not then and other is None and pure(node.test):
            return None
        new: cst.If = with_block(node, then)
        return new if other is node.orelse else new.with_changes(orelse=other)

    def _line(self, node: cst.SimpleStatementLine) -> cst.SimpleStatementLine | None:
        part = node.body[0]
        if len(node.body) > 1:
            return node
        if isinstance(part, cst.AnnAssign) and part.value is not None:
            return None if self._dead(part.target, part.value) else node
        if not isinstance(part, cst.Assign) or len(part.targets) > 1:
            return node
        old = part.targets[0].target
        kept = self._kept(old, part.value)
        if kept is None or kept[0] is old:
            return None if kept is None else node
        target: Any = unparenthesised(kept[0])
        new = part.with_changes(
            targets=[cst.AssignTarget(target)], value=unparenthesised(kept[1])
        )
        return node.with_changes(body=[new])

    def _kept(
        self, target: cst.BaseExpression, value: cst.BaseExpression
    ) -> tuple[cst.BaseExpression, cst.BaseExpression] | None:
        """What is left of the assignment: `a, b = 1, f(x)` less a is `b = f(x)`."""
        if self._dead(target, value):
            return None
        names, values = display(target), display(value)
        if names is None or values is None or len(names) != len(values):
            return target, value
        left = [self._kept(n, v) for n, v in zip(names, values, strict=True)]
        if all(k is not None and k[0] is n for k, n in zip(left, names, strict=True)):
            return target, value
        pairs = [k for k in left if k is not None]
        if len(pairs) == 1:
            return pairs[0]
        return tuple_of([t for t, _ in pairs]), tuple_of([v for _, v in pairs])

    def _dead(self, target: cst.BaseExpression, value: cst.BaseExpression) -> bool:
        names = targets(target)
        plain = all(isinstance(n, _NAMES) for n in walk(target))
        dead = bool(names) and plain and self.names.issuperset(names)
        return dead and (pure(value) or self._pure_helper(value))

    def _pure_helper(self, value: cst.BaseExpression) -> bool:
        """A call of a helper that is one expression without effects."""
        if not isinstance(value, cst.Call) or not isinstance(value.func, cst.Name):
            return False
        helper = self.helpers.get(value.func.value)
        if helper is None or helper.expression is None:
            return False
        return pure(helper.expression) and all(map(pure, value.args))


_NAMES = (cst.Name, cst.Tuple, cst.Element, cst.StarredElement)


def _idle(node: cst.For | cst.While | cst.With) -> bool:
    """Without a body it does nothing."""
    if isinstance(node, cst.For):
        return node.orelse is None and pure(node.iter)
    return isinstance(node, cst.With) and all(pure(item.item) for item in node.items)
