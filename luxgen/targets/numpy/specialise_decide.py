"""Decide tests by what is known of a variable, or of the literals compared."""

from __future__ import annotations

import libcst as cst

from luxgen.targets.numpy.specialise_arithmetic import compared
from luxgen.targets.numpy.specialise_facts import UNKNOWN, Env, Kinds, kind_test
from luxgen.targets.numpy.specialise_nodes import literal, literal_node


def decided_by_kind(node: cst.BaseExpression, env: Env) -> bool | None:
    """The answer that the kinds alone give to `x is None` or isinstance(x, int)."""
    asked = kind_test(node)
    if asked is None or asked[0] not in env:
        return None
    name, kinds, sense = asked
    actual = env[name].kinds
    if actual <= kinds:
        return sense
    return None if actual & kinds else not sense


def decided_by_text(node: cst.Comparison, env: Env) -> bool | None:
    """The answer that is the same for all strings that the variable can be."""
    if not isinstance(node.left, cst.Name) or len(node.comparisons) != 1:
        return None
    fact, target = env.get(node.left.value, UNKNOWN), node.comparisons[0]
    right = literal(target.comparator)
    if fact.values is None or fact.node is not None or right is None:
        return None
    results = {compared(v, target.operator, right.value) for v in fact.values}
    return results.pop() if len(results) == 1 else None


def unequal_by_kind(node: cst.Comparison, left: Kinds) -> bool | None:
    """The answer to `x == 0` where x is a tuple, a string or None."""
    target = node.comparisons[0]
    equal = isinstance(target.operator, cst.Equal)
    if not equal and not isinstance(target.operator, cst.NotEqual):
        return None
    right = literal(target.comparator)
    number = right is not None and type(right.value) in (int, float)
    if len(node.comparisons) != 1 or not number:
        return None
    return not equal if left <= {"none", "str", "tuple", "list"} else None


def decided_by_value(node: cst.Comparison) -> cst.BaseExpression:
    """The answer for literals; else `node`, a literal on the right of `==`."""
    left = literal(node.left)
    for target in node.comparisons:
        right = literal(target.comparator)
        if left is None or right is None:
            return _turned(node)
        result = compared(left.value, target.operator, right.value)
        if result is None:
            return node
        if not result:
            return literal_node(False)
        left = right
    return literal_node(True)


def _turned(node: cst.Comparison) -> cst.Comparison:
    """`x == 0` of `0 == x`."""
    target = node.comparisons[0]
    symmetric = isinstance(target.operator, (cst.Equal, cst.NotEqual))
    if not symmetric or len(node.comparisons) != 1 or literal(node.left) is None:
        return node
    turned = target.with_changes(comparator=node.left)
    return node.with_changes(left=target.comparator, comparisons=[turned])
