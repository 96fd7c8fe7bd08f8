"""Running a user's model for a look at it: nothing of it is changed afterwards."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.distributions import Distribution
from torch.nn.parameter import is_lazy

from luxgen.frontends.shadow import guards_to
from luxgen.frontends.structure import tensors_in


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put back attributes, buffers, modes and the states of random generators."""
    modules = list(model.modules())
    attributes = [(m, dict(vars(m))) for m in modules]
    containers = [
        (held, held.copy())
        for _, own in attributes
        for held in own.values()
        if type(held) in (list, dict, OrderedDict)
    ]
    tensors = [t for m in modules for t in _own_tensors(m)]
    values = [(t, t.detach().clone()) for t in tensors if not is_lazy(t)]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])
        for held, content in containers:
            held.clear()
            held.update(content) if isinstance(held, dict) else held.extend(content)
        for module, own in attributes:
            vars(module).clear()
            vars(module).update(own)
        with torch.no_grad(), quiet():
            for tensor, value in values:
                if tensor.shape == value.shape and not torch.equal(tensor, value):
                    tensor.copy_(value)


def plain_attributes(module: nn.Module) -> dict[str, Any]:
    """What the user's class keeps in `module` beside parameters and submodules."""
    return {k: v for k, v in vars(module).items() if k not in _OF_MODULE}


_OF_MODULE = frozenset(vars(nn.Module()))


def _own_tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    yield from (b for b in module._buffers.values() if b is not None)
    yield from tensors_in(plain_attributes(module))
    if type(module).train is not nn.Module.train:  # may merge weights, as LoRA does
        yield from module.parameters()


@contextmanager
def quiet() -> Iterator[None]:
    """luxgen's own looks at tensors and sizes aren't the model's."""
    with torch._C.DisableTorchFunction(), guards_to(None):
        yield


@contextmanager
def intercepted_calls(handler: Callable[..., Any]) -> Iterator[None]:
    """Every call of a module goes to handler(original, module, args, kwargs)."""
    original = nn.Module.__call__

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return handler(original, module, args, kwargs)

    nn.Module.__call__ = call  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__call__ = original  # type: ignore[method-assign]


@contextmanager
def unvalidated() -> Iterator[None]:
    """Distributions without checks of their arguments' values."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


def following_mode(model: nn.Module) -> set[int]:
    """ids of the modules whose `training` flag `model.train()` and `.eval()` set.

    The others are frozen in one mode, mostly by an override of `train`.
    """
    model.train(True)
    training = {id(m) for m in model.modules() if m.training}
    model.train(False)
    return training - {id(m) for m in model.modules() if m.training}
