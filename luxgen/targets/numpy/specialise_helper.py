"""One helper cut down to the calls that exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import libcst as cst

from luxgen.targets.numpy.specialise_blank import blanked
from luxgen.targets.numpy.specialise_calls import Parameter
from luxgen.targets.numpy.specialise_cleanup import tidied
from luxgen.targets.numpy.specialise_dead import without_dead
from luxgen.targets.numpy.specialise_expressions import Folder
from luxgen.targets.numpy.specialise_facts import (
    Env,
    Fact,
    Kinds,
    annotated,
    union_members,
)
from luxgen.targets.numpy.specialise_flow import Flow
from luxgen.targets.numpy.specialise_kinds import Facts
from luxgen.targets.numpy.specialise_library import Helper
from luxgen.targets.numpy.specialise_nodes import Literal, literal, literal_node
from luxgen.targets.numpy.specialise_suite import bindings
from luxgen.targets.numpy.specialise_words import with_first, without_mentions


@dataclass(frozen=True)
class Given:
    """What one call passes for one parameter; not `sure` where a star may pass it."""

    fact: Fact
    literal: Literal | None = None
    sure: bool = True


@dataclass(frozen=True)
class Site:
    """One call: its function ("" in the model's text), and what it passes."""

    caller: str
    given: Mapping[str, Given]


@dataclass(frozen=True)
class Choice:
    """What becomes of a parameter: `fact` tells of its values.

    One that is not `kept` has its value in `fact.node`.
    """

    parameter: Parameter
    kept: bool
    fact: Fact
    annotation: cst.BaseExpression | None = None
    default: cst.BaseExpression | None = None


@dataclass
class Specialised:
    """A folded helper; its signature is written last, by `written`."""

    helper: Helper
    node: cst.FunctionDef
    choices: list[Choice]
    literals: set[str]  # parameters whose strings decided something

    @property
    def env(self) -> Env:
        return {c.parameter.name: c.fact for c in self.choices if c.kept}


def choose(
    helper: Helper,
    sites: Sequence[Site],
    facts: Facts,
    constants: Mapping[str, Literal],
) -> list[Choice]:
    """`constants`: parameters that go although calls pass them, always the same."""
    choices: list[Choice] = []
    must_default = False  # a positional parameter before has a default
    for parameter in helper.parameters:
        given = [site.given.get(parameter.name) for site in sites]
        if parameter.name in constants:
            node = literal_node(constants[parameter.name].value)
        elif parameter.default is not None and not any(given):
            node = parameter.default
        else:
            choice = _kept(parameter, given, facts, must_default)
            if not parameter.keyword_only:
                must_default = must_default or choice.default is not None
            choices.append(choice)
            continue
        fact = replace(facts.of(node, {}), node=node, initial=True)
        choices.append(Choice(parameter, False, fact, parameter.annotation))
    return choices


def _kept(
    parameter: Parameter,
    given: Sequence[Given | None],
    facts: Facts,
    must_default: bool,
) -> Choice:
    default = parameter.default
    known = [g.fact for g in given if g is not None]
    always = all(g is not None and g.sure for g in given)
    usual = None if default is None else facts.of(default, {})
    if usual is not None and not always:
        known.append(usual)
    allowed = annotated(parameter.annotation)
    kinds = frozenset[str]().union(*(f.kinds for f in known)) & allowed.kinds
    if not kinds or kinds == {"none"}:
        kinds = allowed.kinds
    values = _strings(known)
    if usual is not None and always:
        if not usual.kinds <= kinds:
            if must_default and not parameter.keyword_only:
                kinds |= usual.kinds
            else:
                default = None
        elif not parameter.keyword_only and not _holds(values, usual):
            values = None
    annotation = _narrowed(parameter.annotation, kinds)
    plain = isinstance(annotation, cst.Name) and annotation.value == "str"
    fact = Fact(
        kinds,
        annotated(annotation).items,
        values=values if plain else None,
        length=_length(known),
    )
    return Choice(parameter, True, fact, annotation, default)


def _strings(facts: Sequence[Fact]) -> frozenset[str] | None:
    found = [fact.values for fact in facts]
    known = [values for values in found if values is not None]
    if not known or len(known) < len(found):
        return None
    return frozenset[str]().union(*known)


def _length(facts: Sequence[Fact]) -> int | None:
    found = {fact.length for fact in facts}
    return found.pop() if len(found) == 1 else None


def _holds(values: frozenset[str] | None, usual: Fact) -> bool:
    return values is None or (usual.values or frozenset()) <= values


def _narrowed(
    annotation: cst.BaseExpression | None, kinds: Kinds
) -> cst.BaseExpression | None:
    """The annotation less the members of its union that no call passes."""
    if annotation is None:
        return None
    members = union_members(annotation)
    left = [m for m in members if annotated(m).kinds & kinds]
    if len(left) == len(members) or not left:
        return annotation
    result = left[0]
    for member in left[1:]:
        result = cst.BinaryOperation(result, cst.BitOr(), member)
    return result


def specialise(
    helper: Helper, choices: list[Choice], helpers: Mapping[str, Helper], facts: Facts
) -> Specialised:
    """Fold the body for these choices, until nothing changes."""
    env: Env = {c.parameter.name: c.fact for c in choices}
    arguments = Counter(c.parameter.name for c in choices if c.kept)
    before = bindings(helper.node.body) + Counter(p.name for p in helper.parameters)
    node, settled, literals = helper.node, frozenset[str](), set[str]()
    while True:
        folder = Folder(helpers, facts)
        new = Flow(folder, settled).function(node, env)
        new = without_dead(new, helper.node, helpers)
        new = tidied(blanked(new, helper.node), helper.node)
        literals |= folder.used_values
        if new is node:
            break
        counts = bindings(new.body) + arguments
        settled = frozenset(n for n, c in counts.items() if c == 1 < before[n])
        node = new
    for choice in choices:
        if choice.parameter.name in folder.needs_initial and not choice.kept:
            node = _with_initial(node, choice)
    gone = [c.parameter.name for c in choices if not c.kept]
    node = without_mentions(node, gone)
    return Specialised(helper, node, choices, literals)


def _with_initial(node: cst.FunctionDef, choice: Choice) -> cst.FunctionDef:
    """A parameter that is gone but assigned later starts as a variable."""
    name, value = cst.Name(choice.parameter.name), choice.fact.node
    assert value is not None
    line: cst.BaseSmallStatement = cst.Assign([cst.AssignTarget(name)], value)
    if choice.annotation is not None:
        line = cst.AnnAssign(name, cst.Annotation(choice.annotation), value)
    return with_first(node, cst.SimpleStatementLine([line]))


def written(made: Specialised) -> cst.FunctionDef:
    """The function with the signature that its choices leave."""
    kept = {c.parameter.name: c for c in made.choices if c.kept}
    node, old = made.node, made.node.params
    positional = [_param(p, kept, made.literals) for p in old.params]
    keywords = [_param(p, kept, made.literals) for p in old.kwonly_params]
    star = old.star_arg
    if isinstance(star, cst.ParamStar) and not any(keywords):
        star = cst.MaybeSentinel.DEFAULT
    new = old.with_changes(
        params=[p for p in positional if p],
        kwonly_params=[p for p in keywords if p],
        star_arg=star,
    )
    if new.deep_equals(old):
        return node
    return node.with_changes(
        params=_closed(new), whitespace_before_params=cst.SimpleWhitespace("")
    )


def _param(
    node: cst.Param, kept: Mapping[str, Choice], literals: set[str]
) -> cst.Param | None:
    choice = kept.get(node.name.value)
    if choice is None:
        return None
    annotation, default = choice.annotation, choice.default
    values = choice.fact.values if node.name.value in literals else None
    if values is not None:
        texts = ", ".join(map(repr, sorted(values)))
        annotation = cst.parse_expression(f"Literal[{texts}]")
        usual = None if default is None else literal(default)
        default = default if usual is not None and usual.value in values else None
    changes: dict[str, object] = {}
    if annotation is not choice.parameter.annotation:
        changes["annotation"] = cst.Annotation(annotation) if annotation else None
    if default is not choice.parameter.default:
        changes |= {"default": None, "equal": cst.MaybeSentinel.DEFAULT}
    return node.with_changes(**changes) if changes else node


def _closed(params: cst.Parameters) -> cst.Parameters:
    """Without the last comma, which would keep the parameters on a line each."""

    def joined(nodes: Sequence[cst.Param]) -> list[cst.Param]:
        plain, comma = cst.SimpleWhitespace(""), cst.MaybeSentinel.DEFAULT
        return [
            n.with_changes(comma=comma, whitespace_after_param=plain) for n in nodes
        ]

    star = params.star_arg
    if isinstance(star, cst.ParamStar):
        star = cst.ParamStar()
    elif isinstance(star, cst.Param):
        star = star.with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return params.with_changes(
        params=joined(params.params),
        kwonly_params=joined(params.kwonly_params),
        star_arg=star,
    )
