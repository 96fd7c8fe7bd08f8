"""Parameters of functions, and which arguments of a call go to which."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import libcst as cst

from luxgen.targets.numpy.specialise_nodes import (
    dotted,
    literal,
    rebuilt,
    same,
    walk,
)


@dataclass(frozen=True)
class Parameter:
    name: str
    annotation: cst.BaseExpression | None
    default: cst.BaseExpression | None
    keyword_only: bool


def parameters_of(node: cst.FunctionDef) -> tuple[Parameter, ...]:
    """Named parameters in order; `*args` is none."""
    found = [(p, False) for p in (*node.params.posonly_params, *node.params.params)]
    found += [(p, True) for p in node.params.kwonly_params]
    return tuple(
        Parameter(p.name.value, annotation_of(p), p.default, only) for p, only in found
    )


def annotation_of(node: cst.Param | cst.AnnAssign) -> cst.BaseExpression | None:
    return None if node.annotation is None else node.annotation.annotation


@dataclass
class Binding:
    """Arguments of one call by parameter: `given` for certain, `maybe` by a star.

    A value of None is an unseen element of a `*` whose length is known.
    """

    given: dict[str, cst.BaseExpression | None] = field(default_factory=dict)
    maybe: set[str] = field(default_factory=set)


def binding(
    call: cst.Call,
    parameters: Sequence[Parameter],
    length: Callable[[cst.BaseExpression], int | None] = lambda _: None,
) -> Binding:
    """`length` says how many values a starred expression has, None if unknown."""
    bound = Binding()
    places = [p.name for p in parameters if not p.keyword_only]
    for arg in call.args:
        if arg.keyword is not None:
            bound.given[arg.keyword.value] = arg.value
        elif arg.star == "**":
            bound.maybe |= {p.name for p in parameters}
        elif arg.star:
            count = length(arg.value)
            if count is None:
                bound.maybe |= set(places)
                places = []
            else:
                bound.given |= dict.fromkeys(places[:count])
                places = places[count:]
        elif places:
            bound.given[places.pop(0)] = arg.value
    bound.maybe -= bound.given.keys()
    return bound


def bind(
    call: cst.Call, parameters: Sequence[Parameter]
) -> dict[str, cst.BaseExpression] | None:
    """Arguments by parameter, or None where the call has a star."""
    if any(arg.star for arg in call.args):
        return None
    given = binding(call, parameters).given
    return {name: value for name, value in given.items() if value is not None}


def dropped_defaults(call: cst.Call, parameters: Sequence[Parameter]) -> cst.Call:
    """Without keyword and last positional arguments that equal the default."""
    by_name = {p.name: p for p in parameters}
    places = [p for p in parameters if not p.keyword_only]
    keep = [
        not (arg.keyword and _is_default(arg.value, by_name.get(arg.keyword.value)))
        for arg in call.args
    ]
    positional = [k for k, arg in enumerate(call.args) if arg.keyword is None]
    if not any(arg.star for arg in call.args):
        for k in reversed(positional):
            if k >= len(places) or not _is_default(call.args[k].value, places[k]):
                break
            keep[k] = False
    if all(keep):
        return call
    return with_args(call, [a for a, k in zip(call.args, keep, strict=True) if k])


def _is_default(value: cst.BaseExpression, parameter: Parameter | None) -> bool:
    if parameter is None or parameter.default is None:
        return False
    given, usual = literal(value), literal(parameter.default)
    return given is not None and usual is not None and same(given.value, usual.value)


def with_args(call: cst.Call, args: Iterable[cst.Arg]) -> cst.Call:
    """Commas as needed: a last one would keep the call on many lines."""
    plain = cst.SimpleWhitespace("")
    comma = cst.MaybeSentinel.DEFAULT
    return call.with_changes(
        args=[a.with_changes(comma=comma, whitespace_after_arg=plain) for a in args],
        whitespace_before_args=plain,
    )


def without_arguments(
    node: cst.FunctionDef,
    callee: str,
    parameters: Sequence[Parameter],
    names: Container[str],
) -> cst.FunctionDef:
    """`node` with the arguments for `names` left out of every call of `callee`."""
    places = [p.name for p in parameters if not p.keyword_only]

    def change(child: cst.CSTNode) -> cst.CSTNode:
        new = rebuilt(child, change)
        if not isinstance(new, cst.Call) or not isinstance(new.func, cst.Name):
            return new
        if new.func.value != callee:
            return new
        kept = [
            arg
            for k, arg in enumerate(new.args)
            if (arg.keyword.value if arg.keyword else places[k]) not in names
        ]
        return with_args(new, kept) if len(kept) < len(new.args) else new

    result = change(node)
    assert isinstance(result, cst.FunctionDef)
    return result


def calls_of(node: cst.CSTNode, name: str) -> Iterator[cst.Call]:
    """Calls by bare name, whatever may shadow it."""
    for child in walk(node):
        if isinstance(child, cst.Call) and dotted(child.func) == [name]:
            yield child
