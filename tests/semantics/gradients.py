"""Compare a translated model's vjp with torch.autograd, apart from luxgen's verifier."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import torch
from torch import nn

import luxgen


def module_of(model: nn.Module, *args: Any, **options: Any) -> types.ModuleType:
    """The module with gradients; luxgen's own verification runs too."""
    made = luxgen.transpile(model, args, grad=True, **options)
    assert made.report.passed
    return made.load()


def agree(
    model: nn.Module, *args: Any, training: bool = False, atol: float = 2e-5
) -> types.ModuleType:
    """Gradients of a random combination of the results, of inputs and parameters."""
    module = module_of(model, *args)
    model.train(training)
    weights = {n: t.detach().numpy().copy() for n, t in model.state_dict().items()}
    ps, st = module.from_state_dict(weights)
    if hasattr(module, "trainmode"):
        st = module.trainmode(st) if training else module.testmode(st)
    inputs = [
        a.clone().requires_grad_(a.is_floating_point()) if torch.is_tensor(a) else a
        for a in args
    ]
    out = model(*inputs)
    outs = [out] if torch.is_tensor(out) else list(out)
    cotangents = [torch.randn_like(t) for t in outs]
    wanted = [a for a in inputs if torch.is_tensor(a) and a.requires_grad]
    named = [(n, p) for n, p in model.named_parameters()]
    model.zero_grad()
    torch.autograd.backward(outs, cotangents)
    expected = [t.grad for t in wanted + [p for _, p in named]]
    y, _, pullback = module.vjp(*(a.detach().numpy() for a in inputs), ps, st)
    assert_close(y if torch.is_tensor(out) else y[0], outs[0].detach().numpy(), atol)
    dy = tuple(d.numpy() for d in cotangents)
    *dxs, dps = pullback(dy[0] if torch.is_tensor(out) else dy)
    assert [d is None for d in dxs] == [not a.requires_grad for a in inputs]
    given = [d for d in dxs if d is not None]
    for ours, d, x in zip(given, expected, wanted, strict=False):
        assert_close(ours, as_array(d, x), atol)
    ours_by_name = module.state_dict(dps, st)
    for (name, p), d in zip(named, expected[len(wanted) :], strict=True):
        assert_close(ours_by_name[name], as_array(d, p), atol)
    return module


def as_array(d: torch.Tensor | None, like: torch.Tensor) -> np.ndarray[Any, Any]:
    return np.zeros(tuple(like.shape), np.float32) if d is None else d.numpy()


def assert_close(ours: Any, theirs: Any, atol: float) -> None:
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=atol)
