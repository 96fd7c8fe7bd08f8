"""What is known of variables without running: kinds, and what an annotation says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import libcst as cst

from luxgen.targets.numpy.specialise_nodes import display, literal

Kinds = frozenset[str]

ALL: Kinds = frozenset({
    "none", "bool", "int", "float", "complex", "str", "tuple", "list", "array",
    "int_array", "other",
})  # fmt: skip
GIVEN = ALL - {"none"}
INT: Kinds = frozenset({"int"})
ARRAY: Kinds = frozenset({"array"})
INTEGRAL: Kinds = frozenset({"bool", "int"})
ARRAYS: Kinds = frozenset({"array", "int_array"})


@dataclass(frozen=True)
class Fact:
    """Kinds that a value may have and, of a tuple, its elements' kinds.

    `length` is a tuple's, `values` are the only strings that it can be.
    `node` is an expression of the same value that may stand for the variable, `alias`
    the name that it is a plain copy of. `initial`: it may still be the default of a
    parameter that is being removed.
    """

    kinds: Kinds = ALL
    items: Kinds = ALL
    node: cst.BaseExpression | None = None
    values: frozenset[str] | None = None
    length: int | None = None
    alias: str = ""
    initial: bool = False

    def of_variable(self) -> Fact:
        """Of a local variable with this value; its type is `str`, not some strings."""
        return Fact(self.kinds, self.items, length=self.length)

    def known(self) -> Fact:
        """The value alone, without what holds of the variable only."""
        return Fact(self.kinds, self.items, values=self.values, length=self.length)


Env = dict[str, Fact]
UNKNOWN = Fact()


def of_kind(*kinds: str) -> Fact:
    return Fact(frozenset(kinds))


def join(a: Fact, b: Fact) -> Fact:
    """What holds of a value that is either."""
    same_node = a.node is not None and b.node is not None and a.node.deep_equals(b.node)
    both = a.values is not None and b.values is not None
    return Fact(
        a.kinds | b.kinds,
        a.items | b.items,
        a.node if same_node else None,
        (a.values or frozenset()) | (b.values or frozenset()) if both else None,
        a.length if a.length == b.length else None,
        a.alias if a.alias == b.alias else "",
        a.initial or b.initial,
    )


def merge(a: Env | None, b: Env | None) -> Env | None:
    """After a branch; None stands for code that isn't reached."""
    if a is None or b is None:
        return b if a is None else a
    names = {**a, **b}
    return {n: join(a.get(n, UNKNOWN), b.get(n, UNKNOWN)) for n in names}


def forget(env: Env, name: str) -> None:
    """Drop what is said of other variables by way of `name`, which changes."""
    for other, fact in env.items():
        if fact.alias == name:
            env[other] = fact = replace(fact, alias="")
        if fact.node is not None and name in _names(fact.node):
            env[other] = replace(fact, node=None)


def _names(node: cst.BaseExpression) -> set[str]:
    if isinstance(node, cst.Name):
        return {node.value}
    return {n for part in display(node) or [] for n in _names(part)}


def value_fact(value: Any) -> Fact:
    """Of a Python constant."""
    if value is None:
        return of_kind("none")
    if isinstance(value, tuple):
        items = frozenset[str]().union(*(value_fact(v).kinds for v in value))
        return Fact(frozenset({"tuple"}), items)
    values = frozenset({value}) if isinstance(value, str) else None
    return Fact(frozenset({type(value).__name__}), values=values)


_ANNOTATED: dict[str, Kinds] = {
    "Any": ALL,
    "Array": ARRAYS,
    "None": frozenset({"none"}),
    "bool": frozenset({"bool"}),
    "complex": frozenset({"bool", "int", "float", "complex"}),
    "float": frozenset({"bool", "int", "float"}),
    "int": INTEGRAL,
    "list": frozenset({"list"}),
    "object": ALL,
    "str": frozenset({"str"}),
    "tuple": frozenset({"tuple"}),
    "Callable": GIVEN,
    "Iterable": GIVEN,
    "Iterator": GIVEN,
    "Mapping": GIVEN,
    "Sequence": GIVEN,
    "Literal": frozenset({"str"}),
}


def union_members(annotation: cst.BaseExpression) -> list[cst.BaseExpression]:
    if isinstance(annotation, cst.BinaryOperation):
        return [*union_members(annotation.left), *union_members(annotation.right)]
    return [annotation]


def annotated(annotation: cst.BaseExpression | None) -> Fact:
    """What a type annotation allows; all that isn't known here is left open."""
    if annotation is None:
        return UNKNOWN
    kinds, items = frozenset[str](), frozenset[str]()
    for member in union_members(annotation):
        head = member.value if isinstance(member, cst.Subscript) else member
        name = head.value if isinstance(head, cst.Name) else ""
        found = _ANNOTATED.get(name, ALL)
        kinds |= found
        items |= _elements(member) if found & {"tuple", "list"} else frozenset()
    return Fact(kinds, items)


def _elements(annotation: cst.BaseExpression) -> Kinds:
    """Kinds of the elements of `tuple[int, ...]` or `list[Array]`."""
    if not isinstance(annotation, cst.Subscript):
        return ALL
    kinds = frozenset[str]()
    for part in annotation.slice:
        inner = part.slice.value if isinstance(part.slice, cst.Index) else None
        if inner is not None and not isinstance(inner, cst.Ellipsis):
            kinds |= annotated(inner).kinds
    return kinds or ALL


def refined(test: cst.BaseExpression, truth: bool, env: Env) -> Env:
    """What holds where `test` came out so."""
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        return refined(test.expression, not truth, env)
    if isinstance(test, cst.BooleanOperation):
        if isinstance(test.operator, cst.And) is truth:
            return refined(test.right, truth, refined(test.left, truth, env))
        return env
    asked = kind_test(test)
    if asked is None or asked[0] not in env:
        return _refined_text(test, truth, env)
    name, kinds, positive = asked
    fact = env[name]
    kept = fact.kinds & kinds if positive is truth else fact.kinds - kinds
    return {**env, name: replace(fact, kinds=kept or fact.kinds)}


def _refined_text(test: cst.BaseExpression, truth: bool, env: Env) -> Env:
    """Where `mode == "linear"` came out so, for a mode of known values."""
    if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
        return env
    operator = test.comparisons[0].operator
    right = literal(test.comparisons[0].comparator)
    if right is None or not isinstance(test.left, cst.Name):
        return env
    fact = env.get(test.left.value, UNKNOWN)
    equal = isinstance(operator, cst.Equal)
    if fact.values is None or not (equal or isinstance(operator, cst.NotEqual)):
        return env
    one = frozenset({right.value})
    values = fact.values & one if equal is truth else fact.values - one
    return {**env, test.left.value: replace(fact, values=values)} if values else env


def kind_test(test: cst.BaseExpression) -> tuple[str, Kinds, bool] | None:
    """(name, kinds, sense) of `x is None`, `x is not None`, `isinstance(x, int)`."""
    if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        target = test.comparisons[0]
        operator, right = target.operator, target.comparator
        none = isinstance(right, cst.Name) and right.value == "None"
        identity = none and isinstance(operator, (cst.Is, cst.IsNot))
        if identity and isinstance(test.left, cst.Name):
            return test.left.value, frozenset({"none"}), isinstance(operator, cst.Is)
    if isinstance(test, cst.Call) and isinstance(test.func, cst.Name):
        if test.func.value != "isinstance" or len(test.args) != 2:
            return None
        value, kind = test.args[0].value, test.args[1].value
        if isinstance(value, cst.Name) and isinstance(kind, cst.Name):
            found = _CLASSES.get(kind.value)
            return None if found is None else (value.value, found, True)
    return None


_CLASSES: dict[str, Kinds] = {
    "bool": frozenset({"bool"}),
    "float": frozenset({"float"}),
    "int": INTEGRAL,
    "list": frozenset({"list"}),
    "str": frozenset({"str"}),
    "tuple": frozenset({"tuple"}),
}
