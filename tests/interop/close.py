"""A layer beside the torch module it came from: outputs, state and gradients."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

import luxgen
from luxgen.verify.compare import LEAST, compare_all
from luxgen.verify.gradients import SHARE

Array = np.ndarray[Any, Any]


def normals(*shape: int, seed: int = 0) -> Array:
    drawn = np.random.default_rng(seed).standard_normal(shape)
    return drawn.astype(np.float32)


def agrees(
    layer: luxgen.Layer, ps: Any, st: Any, model: nn.Module, *xs: Array, training: bool
) -> Any:
    """The new state, after output and buffers were compared with torch's."""
    st = luxgen.trainmode(st) if training else luxgen.testmode(st)
    y, new = layer(*xs, ps, st)
    low, high = _copies(model, training)
    with torch.no_grad():
        results = [m(*_inputs(m, xs)) for m in (low, high)]
    close(y, *results)
    truth = dict(high.named_buffers())
    held = layer.state_dict(ps, new)
    for name, buffer in low.named_buffers():
        if name in held:
            close(held[name], buffer, truth[name])
    return new


def same_gradients(
    layer: luxgen.Layer, ps: Any, st: Any, model: nn.Module, *xs: Array, training: bool
) -> None:
    """Cotangents of the float inputs and of every parameter against torch.autograd."""
    st = luxgen.trainmode(st) if training else luxgen.testmode(st)
    y, _, pullback = layer.vjp(*xs, ps, st)
    dy = normals(*y.shape, seed=1)
    *dxs, dps = pullback(dy)
    low, high = _copies(model, training)
    wanted = []
    for module in (low, high):
        inputs = _inputs(module, xs)
        floats = [x.requires_grad_() for x in inputs if x.is_floating_point()]
        out = module(*inputs)
        out.backward(torch.from_numpy(dy).to(out.dtype))
        named = dict(module.named_parameters(remove_duplicate=False))
        wanted.append(([x.grad for x in floats], {n: p.grad for n, p in named.items()}))
    truths = [*wanted[1][0], *wanted[1][1].values()]
    # a bias before batch norm has no gradient but rounding, of the others' size
    least = SHARE * max(float(t.abs().max()) for t in truths)
    close([d for d in dxs if d is not None], wanted[0][0], wanted[1][0], least)
    ours = layer.state_dict(dps, st)
    for name, grad in wanted[0][1].items():
        close(ours[name], grad, wanted[1][1][name], least)


def close(ours: Any, low: Any, high: Any, least: float = LEAST) -> None:
    """`ours` errs by at most twice torch's own float32 error, and a few ulps."""
    found = compare_all(_list(ours), _list(low), _list(high), least)
    assert found.passed, found.reason


def _list(item: Any) -> list[Array]:
    if isinstance(item, (tuple, list)):
        return [array for part in item for array in _list(part)]
    return [item.detach().numpy() if isinstance(item, torch.Tensor) else item]


def _copies(model: nn.Module, training: bool) -> tuple[nn.Module, nn.Module]:
    low = copy.deepcopy(model).train(training)
    return low, copy.deepcopy(low).double()


def _inputs(module: nn.Module, xs: tuple[Array, ...]) -> list[torch.Tensor]:
    double = next(module.parameters()).dtype == torch.float64
    tensors = [torch.tensor(x) for x in xs]
    return [t.double() if double and t.is_floating_point() else t for t in tensors]
