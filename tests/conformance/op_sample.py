"""Operators of PyTorch's own tests, and a module around one sample of each."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.testing._internal import common_methods_invocations as invocations
from torch.testing._internal.opinfo.core import OpInfo
from torch.testing._utils import wrapper_set_seed

from tests.conformance.reference import Sample, widened


def op_name(info: OpInfo) -> str:
    """`name` or `name.variant`."""
    variant = info.variant_test_name
    return f"{info.name}.{variant}" if variant else str(info.name)


OPS: dict[str, OpInfo] = {op_name(info): info for info in invocations.op_db}


def copied(item: Any) -> Any:
    """Own storage for every tensor, so that in-place calls harm no other use."""
    if isinstance(item, torch.Tensor):
        whole = item.layout is torch.strided  # with all that a view's base holds
        return copy.deepcopy(item.detach()) if whole else item.detach().clone()
    if isinstance(item, list | tuple):
        values = [copied(v) for v in item]
        if hasattr(item, "_fields"):
            return type(item)(*values)
        return type(item)(values)
    if isinstance(item, dict):
        return {k: copied(v) for k, v in item.items()}
    return item


class Slot(int):
    """The number of a tensor among a module's inputs."""


class OpCall(nn.Module):
    """`op` with its plain arguments; the tensors of the sample are the inputs."""

    def __init__(self, op: Callable[..., Any], args: Any, kwargs: Any) -> None:
        super().__init__()
        self.op, self.given = op, (args, kwargs)

    def forward(self, *tensors: torch.Tensor) -> Any:
        args, kwargs = filled(self.given, tensors)
        return self.op(*args, **kwargs)

    def double(self) -> OpCall:
        self.given = widened(self.given)  # dtype=torch.float32
        return super().double()


def filled(item: Any, tensors: tuple[torch.Tensor, ...]) -> Any:
    """The arguments with tensors in their slots."""
    if isinstance(item, Slot):
        return tensors[item]
    if isinstance(item, list | tuple):
        values = [filled(v, tensors) for v in item]
        return type(item)(*values) if hasattr(item, "_fields") else type(item)(values)
    if isinstance(item, dict):
        return {k: filled(v, tensors) for k, v in item.items()}
    return item


def _unseeded(op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return op(*args, **kwargs)


def op_sample(info: OpInfo, given: Any) -> Sample:
    """A module that computes what PyTorch's gradient tests differentiate.

    That is the operator between its wrapper, which makes an input symmetric and the
    like, and the part of its result that has a gradient. The wrapper that sets the seed
    is left out: our random numbers aren't torch's.
    """
    tensors: list[torch.Tensor] = []

    def slotted(item: Any) -> Any:
        if isinstance(item, torch.Tensor):
            tensors.append(copied(item).requires_grad_(item.requires_grad))
            return Slot(len(tensors) - 1)
        if isinstance(item, list | tuple):
            values = [slotted(v) for v in item]
            named = hasattr(item, "_fields")
            return type(item)(*values) if named else type(item)(values)
        if isinstance(item, dict):
            return {k: slotted(v) for k, v in item.items()}
        return item

    wrapper, select = info.gradcheck_wrapper, given.output_process_fn_grad
    wrapper = _unseeded if wrapper is wrapper_set_seed else wrapper
    called = info.get_op()

    def op(*args: Any, **kwargs: Any) -> Any:
        with patch.object(invocations, "wrapper_set_seed", _unseeded):
            return select(wrapper(called, *args, **kwargs))

    args = slotted((given.input, *given.args))
    return Sample(OpCall(op, args, slotted(given.kwargs)), tuple(tensors), {})
