"""All calls of a module's functions, and of the helpers cut down for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import libcst as cst

from luxgen.targets.numpy.specialise_calls import (
    bind,
    binding,
    calls_of,
    parameters_of,
    without_arguments,
)
from luxgen.targets.numpy.specialise_expressions import Folder
from luxgen.targets.numpy.specialise_facts import ARRAY, Env, Fact, annotated
from luxgen.targets.numpy.specialise_flow import Flow
from luxgen.targets.numpy.specialise_helper import (
    Given,
    Site,
    Specialised,
    choose,
    specialise,
    written,
)
from luxgen.targets.numpy.specialise_kinds import Facts
from luxgen.targets.numpy.specialise_library import Helper, Returns, returned
from luxgen.targets.numpy.specialise_nodes import Literal, literal, same
from luxgen.targets.numpy.specialise_order import (
    in_calling_order,
    in_reading_order,
    recursive,
)

_TEXT = ""  # the caller, where it is the module's own text


class Program:
    """The functions of a module, and the helpers made for their calls."""

    def __init__(
        self,
        text: str,
        helpers: Mapping[str, Helper],
        whole: Sequence[str],
        splats: Mapping[str, int],
    ) -> None:
        self.tree = cst.parse_module(text)
        own = [n for n in self.tree.body if isinstance(n, cst.FunctionDef)]
        self.own = {n.name.value: n for n in own}
        self.helpers = helpers
        self.splats = splats
        self.facts = Facts(Returns({}, helpers))
        self.sites: dict[str, list[Site]] = {}
        self.whole = dict.fromkeys(whole)  # whose calls aren't all known
        self.named: set[str] = set()  # other than by a call
        self.made: dict[str, Specialised] = {}
        self.used_by: dict[str, list[str]] = {}  # helpers by user, in order of use

    def run(self) -> dict[str, cst.FunctionDef]:
        """The helpers as they are to be printed, in that order."""
        wanted = list(self.whole)
        self._read_text()
        first = [*self.used_by.get(_TEXT, ()), *wanted]
        order = in_calling_order(first, self.helpers)
        self.whole |= dict.fromkeys(recursive(order, self.helpers))
        needed = [name for name in order if self._needed(name, wanted)]
        while needed:  # once, but for helpers that call each other
            for name in order:
                if name not in self.made and self._needed(name, wanted):
                    self._make(name)
            needed = [n for n in self.sites if n not in self.made]
        found = in_reading_order(first, self.used_by)
        return {name: written(self.made[name]) for name in found}

    def _needed(self, name: str, wanted: Sequence[str]) -> bool:
        return name in self.sites or name in self.named or name in wanted

    def _read_text(self) -> None:
        """Collect the calls in the module's own functions."""
        known = {name: annotated(returned(node)) for name, node in self.own.items()}
        facts = Facts(Returns(known, self.helpers), program=True)
        for node in self.tree.body:
            if isinstance(node, cst.FunctionDef):
                self._collect(_TEXT, node, self._parameters(node), facts)
            else:
                env = dict.fromkeys(self.own, Fact())
                Flow(self._collector(_TEXT, "", facts)).block([node], env)

    def _parameters(self, node: cst.FunctionDef) -> Env:
        known = {p.name: annotated(p.annotation) for p in parameters_of(node)}
        return dict.fromkeys(self.own, Fact()) | known

    def _collect(
        self, caller: str, node: cst.FunctionDef, env: Env, facts: Facts
    ) -> Folder:
        folder = self._collector(caller, node.name.value, facts)
        Flow(folder).function(node, env)
        return folder

    def _collector(self, caller: str, scope: str, facts: Facts) -> Folder:
        """A folder that notes what each call of a helper passes."""

        def on_call(name: str, call: cst.Call, env: Env) -> None:
            self._used(caller, name)
            bound = binding(
                call,
                self.helpers[name].parameters,
                lambda e: self._fact(scope, e, env, facts).length,
            )
            given = {p: Given(Fact(), sure=False) for p in bound.maybe}
            for p, value in bound.given.items():
                if value is None:
                    given[p] = Given(Fact(ARRAY))
                    continue
                given[p] = Given(self._fact(scope, value, env, facts), literal(value))
                if isinstance(value, cst.Name) and given[p].fact.values is not None:
                    folder.used_values.add(value.value)
            self.sites.setdefault(name, []).append(Site(caller, given))

        def on_name(name: str) -> None:
            self._used(caller, name)
            self.named.add(name)
            self.whole[name] = None

        folder = Folder(self.helpers, facts, on_call=on_call, on_name=on_name)
        return folder

    def _used(self, caller: str, name: str) -> None:
        users = self.used_by.setdefault(caller, [])
        if name not in users:
            users.append(name)

    def _fact(
        self, scope: str, value: cst.BaseExpression, env: Env, facts: Facts
    ) -> Fact:
        fact = facts.of(value, env)
        places = (cst.Name, cst.Attribute, cst.Subscript)
        if facts.program and isinstance(value, places):
            text = cst.Module([]).code_for_node(value)
            length = self.splats.get(f"{scope}: {text}", self.splats.get(text))
            if length is not None:
                return Fact(frozenset({"tuple"}), length=length)
        return fact

    def _make(self, name: str) -> None:
        helper = self.helpers[name]
        constants: dict[str, Literal] = {}
        callers = sorted({site.caller for site in self.sites.get(name, ())})
        if name in self.whole:
            choices = choose(helper, [_anything(helper)], self.facts, {})
        else:
            constants = self._constants(name)
            choices = choose(helper, self.sites[name], self.facts, constants)
        for caller in callers if constants else ():
            made = self.made[caller]
            made.node = without_arguments(made.node, name, helper.parameters, constants)
        made = specialise(helper, choices, self.helpers, self.facts)
        self.made[name] = made
        folder = self._collect(name, made.node, made.env, self.facts)
        made.literals |= folder.used_values

    def _constants(self, name: str) -> dict[str, Literal]:
        """Parameters for which all calls came to pass one literal, but none did so."""
        sites = self.sites[name]
        callers = sorted({site.caller for site in sites})
        if _TEXT in callers or any(not g.sure for s in sites for g in s.given.values()):
            return {}
        parameters = self.helpers[name].parameters
        as_written = [
            bind(call, parameters) or {}
            for caller in callers
            for call in calls_of(self.helpers[caller].node, name)
        ]
        found: dict[str, Literal] = {}
        for p in parameters:
            usual = _common([site.given.get(p.name) for site in sites])
            before = [given.get(p.name) for given in as_written]
            if usual and all(v is not None and literal(v) is None for v in before):
                found[p.name] = usual
        return found


def _common(given: Sequence[Given | None]) -> Literal | None:
    """The literal that all calls pass."""
    values = [None if g is None else g.literal for g in given]
    first = values[0]
    if first is None or any(
        v is None or not same(v.value, first.value) for v in values
    ):
        return None
    return first


def _anything(helper: Helper) -> Site:
    """A call of which nothing is known."""
    unknown = Given(Fact(), sure=False)
    return Site(_TEXT, {p.name: unknown for p in helper.parameters})
