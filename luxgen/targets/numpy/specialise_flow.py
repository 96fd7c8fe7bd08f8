"""Fold a function statement by statement, knowing what each variable may hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import libcst as cst

from luxgen.targets.numpy.specialise_assign import Assignments
from luxgen.targets.numpy.specialise_expressions import Folder, bind_target
from luxgen.targets.numpy.specialise_facts import (
    UNKNOWN,
    Env,
    Fact,
    forget,
    merge,
    refined,
)
from luxgen.targets.numpy.specialise_nodes import (
    display,
    literal,
    pure,
    rebuilt,
    unparenthesised,
)
from luxgen.targets.numpy.specialise_suite import (
    Statements,
    augmented,
    bindings,
    line_of,
    occurrences,
    parameter_names,
    shared,
    spliced,
    statements,
    targets,
    with_block,
    with_statements,
)

Result = tuple[Statements, Env | None]  # None: what follows isn't reached


class Flow:
    """Folds functions by `folder`; `settled` as in Assignments."""

    def __init__(self, folder: Folder, settled: frozenset[str] = frozenset()) -> None:
        self.folder = folder
        self.assignments = Assignments(folder, settled)

    def function(self, node: cst.FunctionDef, env: Env) -> cst.FunctionDef:
        """The function, folded; `env` tells of its parameters."""
        counts = Counter(parameter_names(node)) + bindings(node.body)
        self.folder.unstable |= {name for name, count in counts.items() if count > 1}
        self.assignments.occurrences += occurrences(node.body)
        self.assignments.augmented |= augmented(node.body)
        self.assignments.shared |= shared(node.body)
        local = dict.fromkeys(counts, UNKNOWN) | env
        for name in self.assignments.shared & local.keys():  # must exist as a variable
            if local[name].initial:
                self.folder.needs_initial.add(name)
            local[name] = Fact()
        new = with_block(node, self.block(statements(node.body), local)[0])
        assert isinstance(new, cst.FunctionDef)
        return new

    def block(self, body: Sequence[cst.BaseStatement], env: Env) -> Result:
        out: Statements = []
        reached: Env | None = env
        for statement in body:
            if reached is None:
                break
            new, reached = self._statement(statement, reached)
            out += new
        return out, reached

    def _statement(self, node: cst.BaseStatement, env: Env) -> Result:
        if isinstance(node, cst.SimpleStatementLine):
            return self._line(node, env)
        if isinstance(node, cst.If):
            return self._if(node, env)
        if isinstance(node, cst.For):
            return self._for(node, env)
        if isinstance(node, cst.While):
            return self._while(node, env)
        if isinstance(node, cst.With):
            return self._with(node, env)
        if isinstance(node, cst.FunctionDef):
            return self._inner(node, env)
        self._changed(bindings(node), env)
        return [self._other(node, env)], env

    def _line(self, node: cst.SimpleStatementLine, env: Env) -> Result:
        small: list[cst.BaseSmallStatement] = []
        for part in node.body:
            new = self._small(part, env)
            if new is not None:
                small.append(new)
            if isinstance(part, (cst.Return, cst.Raise, cst.Break, cst.Continue)):
                return [line_of(node, small)], None
        return ([line_of(node, small)] if small else []), env

    def _small(
        self, node: cst.BaseSmallStatement, env: Env
    ) -> cst.BaseSmallStatement | None:
        if isinstance(node, cst.Assign):
            new = self.assignments.assign(node, env)
            return None if new is not node and _idle(new) else new
        if isinstance(node, cst.AnnAssign):
            return self.assignments.declare(node, env)
        if isinstance(node, cst.AugAssign):
            return self.assignments.update(node, env)
        if isinstance(node, cst.Assert):
            test = self.folder.fold(node.test, env, test=True)
            if _always(test):
                return None
            return node if test is node.test else node.with_changes(test=test)
        if isinstance(node, cst.Del):
            self._changed(bindings(node), env)
            return node
        if isinstance(node, (cst.Return, cst.Expr)) and node.value is not None:
            value = self.folder.fold(node.value, env)
            same = value is node.value
            return node if same else node.with_changes(value=unparenthesised(value))
        new_node: cst.BaseSmallStatement = self._other(node, env)
        return new_node

    # -- choices ------------------------------------------------------------------

    def _if(self, node: cst.If, env: Env) -> Result:
        test = self.folder.fold(node.test, env, test=True)
        decided = literal(test)
        if decided is not None:
            return self._decided(node, bool(decided.value), env)
        then, after = self.block(statements(node.body), dict(refined(test, True, env)))
        other, otherwise = self._orelse(node.orelse, dict(refined(test, False, env)))
        merged = merge(after, otherwise)
        if not then and other is None and pure(test):
            return [], merged
        new = with_block(node, then)
        if test is not node.test or other is not node.orelse:
            new = new.with_changes(test=unparenthesised(test), orelse=other)
        return [new], merged

    def _decided(self, node: cst.If, truth: bool, env: Env) -> Result:
        """Only the branch that is taken, in place of the statement."""
        branch: cst.If | cst.Else | None = node if truth else node.orelse
        if branch is None:
            return [], env
        if branch is not node and isinstance(branch, cst.If):
            new, after = self._if(branch, env)
            return spliced(node, None, new), after
        new, after = self.block(statements(branch.body), env)
        return spliced(node, branch.body, new), after

    def _orelse(
        self, node: cst.If | cst.Else | None, env: Env
    ) -> tuple[cst.If | cst.Else | None, Env | None]:
        if node is None:
            return None, env
        if isinstance(node, cst.Else):
            body, after = self.block(statements(node.body), env)
            return (with_block(node, body) if body else None), after
        new, after = self._if(node, env)
        if len(new) == 1 and isinstance(new[0], cst.If):
            return new[0], after
        return (cst.Else(cst.IndentedBlock(new)) if new else None), after

    # -- loops and scopes ---------------------------------------------------------

    def _for(self, node: cst.For, env: Env) -> Result:
        source = self.folder.fold(node.iter, env)
        elements = display(source)
        if elements is not None and not elements and node.orelse is None:
            return [], env
        items = self.folder.facts.of(source, env).items
        self._changed(bindings(node), env)
        inner = dict(env)
        bind_target(node.target, items, inner)
        body, _ = self.block(statements(node.body), inner)
        other, _ = self._orelse(node.orelse, dict(env))
        new = with_block(node, body)
        if source is not node.iter or other is not node.orelse:
            new = new.with_changes(iter=unparenthesised(source), orelse=other)
        return [new], env

    def _while(self, node: cst.While, env: Env) -> Result:
        self._changed(bindings(node), env)
        test = self.folder.fold(node.test, env, test=True)
        decided = literal(test)
        if decided is not None and not decided.value and node.orelse is None:
            return [], env
        body, _ = self.block(statements(node.body), dict(refined(test, True, env)))
        other, _ = self._orelse(node.orelse, dict(env))
        new = with_block(node, body)
        if test is not node.test or other is not node.orelse:
            new = new.with_changes(test=unparenthesised(test), orelse=other)
        return [new], env

    def _with(self, node: cst.With, env: Env) -> Result:
        items = []
        for item in node.items:
            value = self.folder.fold(item.item, env)
            same = value is item.item
            items.append(item if same else item.with_changes(item=value))
            if item.asname is not None:
                self._changed(targets(item.asname.name), env)
        body, after = self.block(statements(node.body), env)
        new = with_block(node, body)
        if any(a is not b for a, b in zip(items, node.items, strict=True)):
            new = new.with_changes(items=items)
        return [new], after

    def _inner(self, node: cst.FunctionDef, env: Env) -> Result:
        """A function inside: it sees what never changes."""
        self._changed([node.name.value], env)
        parameters = self._other(node.params, env)
        outer = self.folder.closed_over(env)
        for name in (*parameter_names(node), *bindings(node.body)):
            forget(outer, name)
            outer[name] = UNKNOWN
        body, _ = self.block(statements(node.body), outer)
        new = with_block(node, body)
        same = parameters is node.params
        return [new if same else new.with_changes(params=parameters)], env

    def _other(self, node: Any, env: Env) -> Any:
        """Any other node: its expressions are folded, its blocks are run."""

        def change(child: cst.CSTNode) -> cst.CSTNode:
            if isinstance(child, cst.BaseSuite):
                return with_statements(
                    child, self.block(statements(child), dict(env))[0]
                )
            if isinstance(child, (cst.Param, cst.AsName)):
                name = child.name
                return rebuilt(child, lambda c: c if c is name else change(c))
            if isinstance(child, cst.BaseExpression):
                return self.folder.fold(child, env)
            return rebuilt(child, change)

        return rebuilt(node, change)

    def _changed(self, names: Iterable[str], env: Env) -> None:
        for name in names:
            forget(env, name)
            env[name] = Fact(initial=env.get(name, UNKNOWN).initial)


def _always(test: cst.BaseExpression) -> bool:
    decided = literal(test)
    return decided is not None and bool(decided.value)


def _idle(node: cst.Assign) -> bool:
    """x = x."""
    target = node.targets[0].target
    if len(node.targets) > 1 or not isinstance(target, cst.Name):
        return False
    return isinstance(node.value, cst.Name) and node.value.value == target.value
