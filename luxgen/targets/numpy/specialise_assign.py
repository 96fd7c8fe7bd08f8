"""Assignments: fold them, and enter into the environment what they tell."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import libcst as cst

from luxgen.targets.numpy.specialise_calls import annotation_of
from luxgen.targets.numpy.specialise_expressions import Folder, bind_target
from luxgen.targets.numpy.specialise_facts import (
    ARRAYS,
    UNKNOWN,
    Env,
    Fact,
    annotated,
    forget,
)
from luxgen.targets.numpy.specialise_nodes import (
    display,
    names_in,
    rebuilt,
    simple,
    tuple_of,
    unparenthesised,
)
from luxgen.targets.numpy.specialise_suite import targets

_OFTEN = 6  # occurrences from which on an option's long name gets in the way

# Target, value as written (None: another expression), value as folded.
Pair = tuple[cst.BaseExpression, cst.BaseExpression | None, cst.BaseExpression]

_OPERATORS: dict[type[cst.BaseAugOp], type[cst.BaseBinaryOp]] = {
    cst.AddAssign: cst.Add,
    cst.SubtractAssign: cst.Subtract,
    cst.MultiplyAssign: cst.Multiply,
    cst.DivideAssign: cst.Divide,
    cst.FloorDivideAssign: cst.FloorDivide,
    cst.ModuloAssign: cst.Modulo,
}


class Assignments:
    """Assignments of one function.

    A variable whose new value came out as a literal or a name is replaced by it from
    then on, and so is one of `settled`: those that lost all but one assignment. A
    literal that the source assigns stays where it is.
    """

    def __init__(self, folder: Folder, settled: frozenset[str]) -> None:
        self.folder, self.settled = folder, settled
        self.augmented: set[str] = set()
        self.shared: set[str] = set()
        self.occurrences: Counter[str] = Counter()

    def assign(self, node: cst.Assign, env: Env) -> cst.Assign:
        value = self.folder.fold(node.value, env)
        places = [rebuilt(t, lambda c: self._target(c, env)) for t in node.targets]
        if len(places) == 1:
            pairs = _pairs(places[0].target, node.value, value)
            short = self._short(pairs, env)
            if short is not None:
                pairs += _pairs(short.targets[0].target, short.value, short.value)
            self.bind(pairs, env)
            if short is not None:
                return short
        else:
            for place in places:
                self.bind([(place.target, value, value)], env)
        moved = any(a is not b for a, b in zip(places, node.targets, strict=True))
        if value is node.value and not moved:
            return node
        return node.with_changes(targets=places, value=unparenthesised(value))

    def _target(self, node: cst.CSTNode, env: Env) -> cst.CSTNode:
        """What `y[i]` and `y.real` are made of is read, a name is not."""
        if isinstance(node, cst.Name):
            return node
        if isinstance(node, (cst.Subscript, cst.Attribute)):
            read: cst.CSTNode = self.folder.parts(node, env)
            return read
        return rebuilt(node, lambda child: self._target(child, env))

    def declare(self, node: cst.AnnAssign, env: Env) -> cst.AnnAssign:
        if node.value is None:
            return node
        value = self.folder.fold(node.value, env)
        self.bind([(node.target, node.value, value)], env)
        if isinstance(node.target, cst.Name):
            fact, declared = env[node.target.value], annotated(annotation_of(node))
            kinds = fact.kinds & declared.kinds or declared.kinds
            env[node.target.value] = replace(fact, kinds=kinds)
        if value is node.value:
            return node
        return node.with_changes(value=unparenthesised(value))

    def update(self, node: cst.AugAssign, env: Env) -> cst.BaseSmallStatement:
        """`x += y`; `x = 0 + y` where x is a literal that has no assignment left."""
        value = self.folder.fold(node.value, env)
        new = node if value is node.value else node.with_changes(value=value)
        if not isinstance(node.target, cst.Name):
            target = self._target(node.target, env)
            return new if target is node.target else new.with_changes(target=target)
        fact = env.get(node.target.value, UNKNOWN)
        operator = _OPERATORS.get(type(node.operator))
        if fact.node is not None and operator is not None:
            whole = cst.BinaryOperation(fact.node, operator(), value)
            self.bind([(node.target, whole, whole)], env)
            return cst.Assign([cst.AssignTarget(node.target)], whole)
        if fact.initial:
            self.folder.needs_initial.add(node.target.value)
        forget(env, node.target.value)
        arrays = fact.kinds <= ARRAYS  # which stay what they are
        env[node.target.value] = Fact(ARRAYS if arrays else UNKNOWN.kinds)
        return new

    def bind(self, pairs: Iterable[Pair], env: Env) -> None:
        """Enter assignments that happen at once."""
        pairs = list(pairs)
        facts = [self.folder.facts.of(new, env).of_variable() for _, _, new in pairs]
        bound = {name for target, _, _ in pairs for name in targets(target)}
        for name in bound:
            forget(env, name)
        for (target, old, new), fact in zip(pairs, facts, strict=True):
            if not isinstance(target, cst.Name):
                unpack(target, fact, env)
                continue
            env[target.value] = fact
            if isinstance(new, cst.Name) and new is old and new.value not in bound:
                env[target.value] = replace(fact, alias=new.value)
        for (target, old, new), fact in zip(pairs, facts, strict=True):
            if not isinstance(target, cst.Name) or names_in(new) & bound:
                continue
            if self._replaces(target.value, old, new):
                value = _by_alias(new, target.value, env)
                env[target.value] = replace(fact, node=value)

    def _short(self, pairs: Sequence[Pair], env: Env) -> cst.Assign | None:
        """`k = kernel_size` where kh and kw, which stand often, both came to that."""
        names = [
            target.value
            for target, old, new in pairs
            if isinstance(target, cst.Name) and self._replaces(target.value, old, new)
        ]
        sources = {new.value for _, _, new in pairs if isinstance(new, cst.Name)}
        if len(names) != len(pairs) or len(sources) != 1 or len(pairs) < 2:
            return None
        short, source = os.path.commonprefix(names), sources.pop()
        often = sum(self.occurrences[name] for name in names) > _OFTEN
        if not often or not short.isidentifier() or len(short) >= len(source):
            return None
        if short in env or any(f.alias == source for f in env.values()):
            return None
        return cst.Assign([cst.AssignTarget(cst.Name(short))], cst.Name(source))

    def _replaces(
        self, name: str, old: cst.BaseExpression | None, new: cst.BaseExpression
    ) -> bool:
        if new is old and name not in self.settled:
            return False
        if name in self.shared or (name in self.augmented and names_in(new)):
            return False
        return simple(new)


def _pairs(
    target: cst.BaseExpression, old: cst.BaseExpression | None, new: cst.BaseExpression
) -> list[Pair]:
    """`(a, b), c = (1, 2), 3` taken apart."""
    names, values = display(target), display(new)
    if names is None or values is None or len(names) != len(values):
        return [(target, old, new)]
    olds: list[cst.BaseExpression | None] = [None] * len(names)
    before = None if old is None else display(old)
    if before is not None and len(before) == len(names):
        olds = [*before]
    triples = zip(names, olds, values, strict=True)
    return [pair for triple in triples for pair in _pairs(*triple)]


def unpack(target: cst.BaseExpression, fact: Fact, env: Env) -> None:
    """`n, *rest = value`."""
    if not isinstance(target, (cst.Tuple, cst.List)):
        return
    for element in target.elements:
        starred = isinstance(element, cst.StarredElement)
        kinds = frozenset({"list"}) if starred else fact.items
        bind_target(element.value, kinds, env)


def _by_alias(value: cst.BaseExpression, target: str, env: Env) -> cst.BaseExpression:
    """The shorter names that the source gave to the names in `value`."""
    if isinstance(value, cst.Name):
        for name, fact in env.items():
            if fact.alias == value.value and name != target:
                return cst.Name(name)
    parts = display(value) if isinstance(value, cst.Tuple) else None
    if parts is None:
        return value
    return tuple_of([_by_alias(part, target, env) for part in parts])
