"""A live model and example inputs -> a checked Program."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from luxgen.errors import Site, UnsupportedError
from luxgen.frontends.carried import carried
from luxgen.frontends.decompose import HasRule, every_rule
from luxgen.frontends.dims import Size, choose, resized
from luxgen.frontends.grad_mode import HOOKED, hooked
from luxgen.frontends.modes import merge
from luxgen.frontends.records import Trace
from luxgen.frontends.sites import site_on
from luxgen.frontends.trace import trace
from luxgen.frontends.trees import (
    build_trees,
    frozen_names,
    layers_of,
    tied_names,
    unsaved_names,
)
from luxgen.frontends.unseen import other_values, unseen_sites
from luxgen.frontends.witness import Misaligned, align
from luxgen.ir.check import check
from luxgen.ir.program import Program
from luxgen.passes.autodiff import differentiate
from luxgen.passes.cleanup import clean, clean_stops
from luxgen.passes.effects import mark
from luxgen.passes.escapes import export
from luxgen.passes.functions import to_function
from luxgen.passes.optional import unify_optional
from luxgen.passes.pipeline import callees_first, run


@dataclass
class Built:
    """A program, the example inputs it was traced with, and what was fixed."""

    program: Program
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    free: list[Size] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)
    constants: dict[tuple[str, ...], torch.Tensor] = field(default_factory=dict)


def build(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    names: dict[tuple[int, int], str] | None = None,
    has_rule: HasRule = every_rule,
    gradients: bool = False,
) -> Built:
    """Trace `model` in both modes at two sizes and build its program.

    `names` gives the sizes that the user asked to stay free, by (tensor, axis);
    without it every size that the model's own code leaves free stays free. Ops for
    which `has_rule` is false are taken apart into the ATen ops they are made of.
    With `gradients` the program also has the functions with pullbacks.
    Raises UnsupportedError with all places that can't be translated.
    """
    sizes = choose(model, args, kwargs, names)
    free, fixed = sizes.free, sizes.fixed
    traces: tuple[Trace, Trace] | None = None
    while traces is None:
        try:
            traces = _aligned(model, args, kwargs, free, has_rule)
        except Misaligned as error:
            if not free:
                raise UnsupportedError(
                    [site_on(error.line, error.reason, _SAME)]
                ) from None
            free, why = _without_culprit(model, args, kwargs, free, error, has_rule)
            fixed = [*fixed, why]
    train, test = traces
    inputs = [resized(args, kwargs, free, k) for k in (1, 0)]
    sites = [*train.sites, *test.sites]
    for each, training in ((train, True), (test, False)):
        if each.changed:
            sites += carried(model, each.changed, inputs, training)
    sites = list(dict.fromkeys(sites))
    if sites:
        raise UnsupportedError(sites)
    if gradients:
        _require_gradients(model, [*train.ungraded, *test.ungraded])
    for each in (train, test):
        export(each.root)
    root = merge(train.root, test.root)
    main = to_function(root)
    for function in callees_first(main):
        mark(function)
        clean(function, gradients=gradients)
    constants = {**test.constants, **train.constants}
    ps, st = build_trees(model, main, constants)
    unify_optional(main, ps, st)
    functions = run(main, gradients=gradients)
    frees = {(s.values[0], s.values[1]): s.name for s in free}
    unsaved = unsaved_names(model) | {".".join(path) for path in constants}
    program = Program(
        functions, type(model).__name__, ps, st, frees, tied_names(model),
        layers_of(model), unsaved,
    )  # fmt: skip
    if gradients:
        program.frozen = frozen_names(model)
        program.vjps, refusals = differentiate(functions)
        for function in (*functions, *program.vjps):
            clean_stops(function)
            check(function)
        if refusals:
            raise UnsupportedError([site_on(*refusal) for refusal in refusals])
    fixed = [*fixed, *_given_numbers(train)]
    return Built(program, args, kwargs, free, fixed, constants)


def _require_gradients(model: nn.Module, sites: list[Site]) -> None:
    """UnsupportedError where the gradients aren't those of what is computed."""
    sites = [
        *sites,
        *(site_on(("", 0), f"{n}: {HOOKED[0]}", HOOKED[1]) for n in hooked(model)),
    ]
    if sites:
        raise UnsupportedError(list(dict.fromkeys(sites)))


def _given_numbers(trace: Trace) -> list[str]:
    """Arguments that aren't tensors keep the example call's values."""
    return [
        f"{name}: {value!r}, as in the example call"
        for name, value in trace.root.args.items()
        if isinstance(value, (bool, int, float, complex, str))
    ]


_SAME = "make the forward take the same steps each time it runs"


def _aligned(
    model: nn.Module, args: Any, kwargs: Any, free: list[Size], has_rule: HasRule
) -> tuple[Trace, Trace]:
    """Both modes' first traces, each checked against its witness."""
    result = []
    for training in (True, False):
        run = partial(trace, model, training=training, has_rule=has_rule)
        example = resized(args, kwargs, free, 0)
        first, second = run(*example), run(*resized(args, kwargs, free, 1))
        again = partial(run, *other_values(*example))
        first.sites += unseen_sites(first, second, again)
        if not first.sites:
            align(first.root, second.root)
        result.append(first)
    return result[0], result[1]


def _without_culprit(
    model: nn.Module,
    args: Any,
    kwargs: Any,
    free: list[Size],
    error: Misaligned,
    has_rule: HasRule,
) -> tuple[list[Size], str]:
    """Drop the size whose variation alone makes the traces differ."""
    for size in reversed(free):
        others = [s for s in free if s is not size]
        try:
            _aligned(model, args, kwargs, others, has_rule)
        except Misaligned:
            continue
        file, line = error.line
        return others, f"{size.name}: {error.reason} ({file}:{line})"
    return free[
        :-1
    ], f"{free[-1].name}: {error.reason} ({error.line[0]}:{error.line[1]})"
