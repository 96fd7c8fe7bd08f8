"""Gradients of the generated module against torch.autograd, leaf by leaf."""

from __future__ import annotations

import copy
import inspect
import types
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from luxgen.frontends.structure import tensors_in
from luxgen.verify.compare import NONE, Difference, compare
from luxgen.verify.recorder import Drawn
from luxgen.verify.reference import (
    GivenDraws,
    in_double,
    to_numpy,
    widened,
    without_inner_dropout,
)

Array = np.ndarray[Any, Any]
SHARE = 2.0**-4  # leaves with smaller gradients are judged at this part of the largest


def compare_gradients(
    model: nn.Module,
    module: types.ModuleType,
    call: tuple[tuple[Any, ...], dict[str, Any]],
    ours: tuple[list[Any], dict[str, Any]],
    trees: tuple[Any, Any],
    drawn: list[Drawn],
    *,
    training: bool,
) -> Difference:
    """The worst over inputs and parameters, for random cotangents of the results.

    `call` are torch's arguments, `ours` the generated module's; `trees` its ps and st,
    in the mode of `training`; `drawn` is what its random ops drew.
    """
    rng = np.random.default_rng(0)
    cotangents: list[Any] = []

    def drawn_like(array: Array) -> Any:
        cotangents.append(_like(array, rng))
        return cotangents[-1]

    found = _pulled_back(model, module, call, ours, trees, drawn_like)
    of_torch = partial(_autograd, model, call, cotangents, drawn, training=training)
    try:
        low, high = of_torch(double=False), of_torch(double=True)
    except RuntimeError as error:  # torch has no derivative by some input
        if "derivative" not in str(error) and "differentiable" not in str(error):
            raise
        low = of_torch(double=False, inputs=False)
        high = of_torch(double=True, inputs=False)
    total = _worst(found, low, high)
    if total.passed or not np.isfinite(total.ours) or total.ours > JUMP:
        return total
    # A relu whose input is 0 but for rounding may open in one run and not in another:
    # in float64 that doesn't happen, and then the same text must agree closely.
    again = iter(cotangents)
    wide = [_wide(ours), _wide(trees)]
    exact = _pulled_back(
        model, module, call, wide[0], wide[1], lambda _: _wide(next(again))
    )
    # Constants that are float32 in torch's run or ours (hardsigmoid's 1/6) show in
    # float64, by no more than what float32 itself shows.
    limit = max(CLOSE, min(total.torch, ROUNDING))
    close = _worst(exact, high, high).ours <= limit
    return Difference(total.ours, total.torch, "" if close else total.reason)


CLOSE, ROUNDING = 1e-7, 1e-5  # relative to the largest gradient
JUMP = 0.25  # relative to the largest gradient: more isn't rounding


def _pulled_back(
    model: nn.Module,
    module: types.ModuleType,
    call: tuple[Any, Any],
    ours: Any,
    trees: Any,
    cotangent: Callable[[Array], Any],
) -> dict[str, Any]:
    """Our gradients by name."""
    ps, st = trees
    y, _, pullback = module.vjp(*ours[0], ps, st, **ours[1])
    *dxs, dps = pullback(_mapped(y, cotangent))
    found: dict[str, Any] = dict(_inputs(model, call, dxs))
    found |= module.state_dict(dps, st)
    return found


def _wide(tree: Any) -> Any:
    """The same in float64."""

    def in_wide(array: Array) -> Array:
        kind = array.dtype.kind
        return array.astype({"f": "f8", "c": "c16"}.get(kind, array.dtype))

    return _mapped(tree, in_wide)


def _worst(
    found: dict[str, Any], low: dict[str, Array], high: dict[str, Array]
) -> Difference:
    sizes = (float(np.abs(a).max()) for a in high.values() if a.size)
    least = max(max(sizes, default=0.0) * SHARE, 1e-30)
    total = NONE
    for name, true in high.items():
        if not true.size:
            continue
        if name not in found:
            each = Difference(np.inf, 0.0, "no gradient, torch has one")
        else:
            each = compare(found[name], low[name], true, least)
        if each.reason:
            each = Difference(each.ours, each.torch, f"{name}: {each.reason}")
        total = total.worst(each)
    return total


def _like(array: Array, rng: np.random.Generator) -> Any:
    if not np.issubdtype(array.dtype, np.inexact):
        return None
    real, imaginary = rng.standard_normal((2, *array.shape))
    d = real + 1j * imaginary if np.iscomplexobj(array) else real
    return np.asarray(d, array.dtype)


def _mapped(tree: Any, visit: Callable[[Any], Any]) -> Any:
    """`visit` of every array of a result, in its structure."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_mapped(part, visit) for part in tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(_mapped(part, visit) for part in tree)
    if isinstance(tree, dict):
        return {key: _mapped(part, visit) for key, part in tree.items()}
    if isinstance(tree, (np.ndarray, np.generic)):
        return visit(np.asarray(tree))
    return tree


def _inputs(
    model: nn.Module, call: tuple[Any, Any], dxs: list[Any]
) -> list[tuple[str, Any]]:
    """Gradients of float inputs by the name of the argument and a number."""
    args, kwargs = call
    found: list[Any] = []
    for d in dxs:
        found += _flat(d)
    wanted = [n for n, _ in _float_inputs(model, args, kwargs)]
    return list(zip(wanted, [d for d in found if d is not None], strict=True))


def _flat(item: Any) -> list[Any]:
    if isinstance(item, (tuple, list)):
        return [d for part in item for d in _flat(part)]
    if isinstance(item, dict):
        return [d for part in item.values() for d in _flat(part)]
    return [item]


def _float_inputs(
    model: nn.Module, args: Any, kwargs: Any
) -> list[tuple[str, torch.Tensor]]:
    """The tensors of required arguments that have a gradient, by a name to show."""
    signature = inspect.signature(model.forward)
    found = []
    for name, value in signature.bind(*args, **kwargs).arguments.items():
        if signature.parameters[name].default is not inspect.Parameter.empty:
            continue
        for k, tensor in enumerate(tensors_in(value)):
            if tensor.is_floating_point() or tensor.is_complex():
                found.append((f"({name})" if not k else f"({name}, {k})", tensor))
    return found


def _autograd(
    model: nn.Module,
    call: tuple[Any, Any],
    cotangents: list[Any],
    drawn: list[Drawn],
    *,
    training: bool,
    double: bool,
    inputs: bool = True,
) -> dict[str, Array]:
    """torch's gradients by name; zeros for what the results don't depend on."""
    model = copy.deepcopy(model)
    if double:
        model = model.double()
    args, kwargs = widened(call) if double else call
    args, kwargs = copy.deepcopy((args, kwargs))
    wanted = dict(_float_inputs(model, args, kwargs) if inputs else ())
    wanted |= {n: p for n, p in model.named_parameters() if p.is_floating_point()}
    wanted |= {n: p for n, p in model.named_parameters() if p.is_complex()}
    for tensor in wanted.values():
        tensor.requires_grad_(True)
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.enable_grad())
        model.train(training)
        if training:
            stack.enter_context(without_inner_dropout(model))
        if double:
            stack.enter_context(in_double())
        stack.enter_context(GivenDraws(drawn))
        results = list(tensors_in(model(*args, **kwargs)))
    pairs = [
        (t, torch.from_numpy(np.array(d)).to(t.dtype))
        for t, d in zip(results, cotangents, strict=True)
        if d is not None and t.requires_grad
    ]
    if pairs:  # not autograd.grad, which reentrant checkpoints don't allow
        torch.autograd.backward([t for t, _ in pairs], [d for _, d in pairs])
    return {
        name: to_numpy(torch.zeros_like(t) if t.grad is None else t.grad)
        for name, t in wanted.items()
    }
