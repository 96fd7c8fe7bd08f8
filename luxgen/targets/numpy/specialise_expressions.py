"""Fold expressions: replace variables of known value, decide tests, prune."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import libcst as cst

from luxgen.targets.numpy.specialise_arithmetic import applied, arithmetic
from luxgen.targets.numpy.specialise_calls import bind, dropped_defaults
from luxgen.targets.numpy.specialise_decide import (
    decided_by_kind,
    decided_by_text,
    decided_by_value,
    unequal_by_kind,
)
from luxgen.targets.numpy.specialise_facts import (
    ARRAYS,
    UNKNOWN,
    Env,
    Fact,
    Kinds,
    refined,
)
from luxgen.targets.numpy.specialise_kinds import Facts
from luxgen.targets.numpy.specialise_library import Helper
from luxgen.targets.numpy.specialise_nodes import (
    as_condition,
    as_left,
    as_operand,
    in_place_of,
    literal,
    literal_node,
    names_in,
    parenthesised,
    pure,
    rebuilt,
    simple,
)

OnCall = Callable[[str, cst.Call, Env], None]


class Folder:
    """Folds one function's expressions.

    A node comes back as the very same object where nothing in it changed: only what
    a value fed in makes constant is simplified, never the text as it was written.
    """

    def __init__(
        self,
        helpers: Mapping[str, Helper],
        facts: Facts,
        *,
        on_call: OnCall | None = None,
        on_name: Callable[[str], None] | None = None,
    ) -> None:
        self.helpers, self.facts = helpers, facts
        self.on_call, self.on_name = on_call, on_name
        self.unstable: set[str] = set()  # bound more than once: a closure sees the last
        self.needs_initial: set[str] = set()
        self.used_values: set[str] = set()
        self._by_type: dict[type[cst.CSTNode], Callable[..., cst.CSTNode]] = {
            cst.Name: self._name,
            cst.Attribute: self._attribute,
            cst.Arg: self._arg,
            cst.Call: self._call,
            cst.Comparison: self._comparison,
            cst.BooleanOperation: self._boolean,
            cst.UnaryOperation: self._unary,
            cst.BinaryOperation: self._binary,
            cst.IfExp: self._choice,
            cst.Slice: self._slice,
            cst.Subscript: self._subscript,
            cst.Lambda: self._lambda,
            cst.ListComp: self._comprehension,
            cst.SetComp: self._comprehension,
            cst.DictComp: self._comprehension,
            cst.GeneratorExp: self._comprehension,
            cst.NamedExpr: self._walrus,
            cst.FormattedString: self._formatted,
        }

    def fold(
        self, node: cst.BaseExpression, env: Env, *, test: bool = False
    ) -> cst.BaseExpression:
        """`test`: only whether the value is true matters."""
        if test and isinstance(node, cst.BooleanOperation):
            return self._boolean(node, env, test=True)
        result = self._any(node, env)
        assert isinstance(result, cst.BaseExpression)
        return result

    def _any(self, node: cst.CSTNode, env: Env) -> cst.CSTNode:
        method = self._by_type.get(type(node))
        return self.parts(node, env) if method is None else method(node, env)

    def parts(self, node: cst.CSTNode, env: Env) -> Any:
        return rebuilt(node, lambda child: self._any(child, env))

    # -- names --------------------------------------------------------------------

    def _name(self, node: cst.Name, env: Env) -> cst.BaseExpression:
        fact = env.get(node.value)
        if fact is None:
            if node.value in self.helpers and self.on_name is not None:
                self.on_name(node.value)
            return node
        if fact.node is not None:
            tuple_ = isinstance(fact.node, cst.Tuple)
            return parenthesised(fact.node) if tuple_ else fact.node
        if fact.initial:
            self.needs_initial.add(node.value)
        return node

    def _attribute(self, node: cst.Attribute, env: Env) -> cst.Attribute:
        value = self.fold(node.value, env)
        same = value is node.value
        return node if same else node.with_changes(value=as_operand(value))

    def _arg(self, node: cst.Arg, env: Env) -> cst.Arg:
        value = self.fold(node.value, env)
        return node if value is node.value else node.with_changes(value=value)

    def _formatted(self, node: cst.FormattedString, env: Env) -> cst.CSTNode:
        """Strings stay outside: before Python 3.12 their quotes could end this one."""
        inner = {
            name: replace(fact, node=None) if _is_text(fact.node) else fact
            for name, fact in env.items()
        }
        return rebuilt(
            node,
            lambda part: (
                self.parts(part, inner)
                if isinstance(part, cst.FormattedStringExpression)
                else part
            ),
        )

    def _walrus(self, node: cst.NamedExpr, env: Env) -> cst.CSTNode:
        value = self.fold(node.value, env)
        if isinstance(node.target, cst.Name):
            env[node.target.value] = UNKNOWN
        return node if value is node.value else node.with_changes(value=value)

    # -- choices ------------------------------------------------------------------

    def _comparison(self, node: cst.Comparison, env: Env) -> cst.BaseExpression:
        decided = decided_by_kind(node, env)
        if decided is None:
            decided = decided_by_text(node, env)
            if decided is not None and isinstance(node.left, cst.Name):
                self.used_values.add(node.left.value)
        if decided is None:
            decided = unequal_by_kind(node, self.facts.of(node.left, env).kinds)
        if decided is not None:
            return literal_node(decided)
        new = rebuilt(node, lambda child: self._compared(child, env))
        return node if new is node else decided_by_value(new)

    def _compared(self, child: cst.CSTNode, env: Env) -> cst.CSTNode:
        if isinstance(child, cst.ComparisonTarget):
            value = self.fold(child.comparator, env)
            same = value is child.comparator
            return child if same else child.with_changes(comparator=value)
        return self._any(child, env)

    def _boolean(
        self, node: cst.BooleanOperation, env: Env, *, test: bool = False
    ) -> cst.BaseExpression:
        both = isinstance(node.operator, cst.And)
        left = self.fold(node.left, env, test=test)
        first = literal(left)
        if first is not None and bool(first.value) is not both:
            return left
        right = self.fold(node.right, refined(left, both, env), test=test)
        if first is not None:
            return in_place_of(right, node)
        second = literal(right)
        if test and second is not None:
            if bool(second.value) is both:
                return in_place_of(left, node)
            if pure(left):
                return literal_node(not both)
        if left is node.left and right is node.right:
            return node
        return node.with_changes(left=as_condition(left), right=as_condition(right))

    def _unary(self, node: cst.UnaryOperation, env: Env) -> cst.BaseExpression:
        negated = isinstance(node.operator, cst.Not)
        inner = self.fold(node.expression, env, test=negated)
        if inner is node.expression:
            return node
        constant = literal(inner)
        if constant is not None and negated:
            return literal_node(not constant.value)
        number = constant is not None and type(constant.value) in (int, float)
        if constant is not None and number and isinstance(node.operator, cst.Minus):
            return literal_node(-constant.value)
        plain = negated or isinstance(inner, (cst.Integer, cst.Float))
        return node.with_changes(expression=inner if plain else as_operand(inner))

    def _choice(self, node: cst.IfExp, env: Env) -> cst.BaseExpression:
        test = self.fold(node.test, env, test=True)
        decided = literal(test)
        if decided is not None:
            chosen = node.body if decided.value else node.orelse
            return in_place_of(self.fold(chosen, env), node)
        body = self.fold(node.body, refined(test, True, env))
        orelse = self.fold(node.orelse, refined(test, False, env))
        if test is node.test and body is node.body and orelse is node.orelse:
            return node
        return node.with_changes(test=test, body=body, orelse=orelse)

    # -- numbers and indices ------------------------------------------------------

    def _binary(self, node: cst.BinaryOperation, env: Env) -> cst.BaseExpression:
        left, right = self.fold(node.left, env), self.fold(node.right, env)
        if left is node.left and right is node.right:
            return node
        if left is not node.left:
            left = as_left(left, node.operator)
        new = node.with_changes(left=left, right=right)
        left_kinds = self.facts.of(node.left, env).kinds
        return arithmetic(new, left_kinds, self.facts.of(node.right, env).kinds)

    def _slice(self, node: cst.Slice, env: Env) -> cst.CSTNode:
        """Without a start of 0 or a step of 1 that weren't there before."""
        new: cst.Slice = self.parts(node, env)
        if new.lower is not None and new.lower is not node.lower and _is(new.lower, 0):
            new = new.with_changes(lower=None)
        if new.step is not None and new.step is not node.step and _is(new.step, 1):
            new = new.with_changes(step=None, second_colon=cst.MaybeSentinel.DEFAULT)
        return new

    def _subscript(self, node: cst.Subscript, env: Env) -> cst.BaseExpression:
        new: cst.Subscript = self.parts(node, env)
        if new is node:
            return node
        whole = new.slice is not node.slice and all(map(_everything, new.slice))
        if whole and self.facts.of(node.value, env).kinds <= ARRAYS:
            return in_place_of(new.value, node)
        if new.value is not node.value:
            new = new.with_changes(value=as_operand(new.value))
        return new

    # -- scopes -------------------------------------------------------------------

    def _lambda(self, node: cst.Lambda, env: Env) -> cst.Lambda:
        own = (*node.params.params, *node.params.kwonly_params)
        names = dict.fromkeys((p.name.value for p in own), UNKNOWN)
        inner = self.closed_over(env) | names
        body = self.fold(node.body, inner)
        return node if body is node.body else node.with_changes(body=body)

    def closed_over(self, env: Env) -> Env:
        """What holds whenever a function made here may run."""
        inner: Env = {}
        for name, fact in env.items():
            if name in self.unstable:
                inner[name] = Fact(initial=fact.initial)
            elif fact.node is not None and names_in(fact.node) & self.unstable:
                inner[name] = replace(fact, node=None)
            else:
                inner[name] = fact
        return inner

    def _comprehension(self, node: cst.BaseComp, env: Env) -> cst.BaseComp:
        inner = dict(env)
        if isinstance(node, cst.GeneratorExp):
            inner = self.closed_over(inner)
        loop = self._for_part(node.for_in, env, inner)
        fields = ("key", "value") if isinstance(node, cst.DictComp) else ("elt",)
        changes: dict[str, cst.CSTNode] = {}
        for field in fields:
            old = getattr(node, field)
            new = self.fold(old, inner)
            if new is not old:
                changes[field] = new
        if loop is not node.for_in:
            changes["for_in"] = loop
        return node.with_changes(**changes) if changes else node

    def _for_part(self, loop: cst.CompFor, outer: Env, inner: Env) -> cst.CompFor:
        """`for` and `if` of a comprehension; `inner` gets what the elements see."""
        source = self.fold(loop.iter, outer)
        bind_target(loop.target, self.facts.of(loop.iter, outer).items, inner)
        tests = [self.fold(c.test, inner, test=True) for c in loop.ifs]
        nested = loop.inner_for_in
        if nested is not None:
            nested = self._for_part(nested, inner, inner)
        pairs = list(zip(tests, loop.ifs, strict=True))
        same = source is loop.iter and nested is loop.inner_for_in
        if same and all(t is c.test for t, c in pairs):
            return loop
        ifs = [c.with_changes(test=t) for t, c in pairs]
        return loop.with_changes(iter=source, ifs=ifs, inner_for_in=nested)

    # -- calls --------------------------------------------------------------------

    def _call(self, node: cst.Call, env: Env) -> cst.BaseExpression:
        name = node.func.value if isinstance(node.func, cst.Name) else ""
        if not name or name in env:
            new: cst.Call = self.parts(node, env)
            if new.func is not node.func:
                new = new.with_changes(func=as_operand(new.func))
            return new
        decided = decided_by_kind(node, env)
        if decided is not None:
            return literal_node(decided)
        args = [self._arg(a, env) for a in node.args]
        changed = any(a is not b for a, b in zip(args, node.args, strict=True))
        new = node.with_changes(args=args) if changed else node
        helper = self.helpers.get(name)
        if helper is None:
            if not changed or any(a.keyword or a.star for a in args):
                return new
            return applied(name, [a.value for a in args]) or new
        if self.on_call is not None:
            self.on_call(name, new, env)
            return new
        new = dropped_defaults(new, helper.parameters)
        return self._inlined(node, new, helper, env) or new

    def _inlined(
        self, old: cst.Call, call: cst.Call, helper: Helper, env: Env
    ) -> cst.BaseExpression | None:
        """The value, if it comes to names and literals: ntuple(2, 2) -> (2, 2)."""
        given, before = bind(call, helper.parameters), bind(old, helper.parameters)
        if helper.expression is None or given is None or before is None:
            return None
        inner: Env = {}
        for p in helper.parameters:
            value = given.get(p.name, p.default)
            if value is None or not simple(value):
                return None
            kinds: Kinds = self.facts.of(before.get(p.name, value), env).kinds
            if literal(value) is not None:
                kinds = self.facts.of(value, {}).kinds
            inner[p.name] = Fact(kinds, node=value)
        result = Folder(self.helpers, self.facts).fold(helper.expression, inner)
        if not simple(result):
            return None
        return parenthesised(result) if isinstance(result, cst.Tuple) else result


def bind_target(target: cst.BaseExpression, kinds: Kinds, env: Env) -> None:
    """Enter the variables of a loop whose elements have these kinds."""
    if isinstance(target, cst.Name):
        env[target.value] = Fact(kinds)
    elif isinstance(target, (cst.Tuple, cst.List)):
        for element in target.elements:
            bind_target(element.value, UNKNOWN.kinds, env)
    elif isinstance(target, cst.StarredElement):
        bind_target(target.value, UNKNOWN.kinds, env)


def _is(node: cst.BaseExpression, value: int) -> bool:
    found = literal(node)
    return found is not None and type(found.value) is int and found.value == value


def _is_text(node: cst.BaseExpression | None) -> bool:
    found = None if node is None else literal(node)
    return found is not None and isinstance(found.value, str)


def _everything(element: cst.SubscriptElement) -> bool:
    """`:` or `...`."""
    index = element.slice
    if isinstance(index, cst.Index):
        return isinstance(index.value, cst.Ellipsis)
    return isinstance(index, cst.Slice) and not any(
        (index.lower, index.upper, index.step)
    )
