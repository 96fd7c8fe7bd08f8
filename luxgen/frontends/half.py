"""Half-precision models compute in float32: NumPy has no bfloat16 arithmetic."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from luxgen.frontends.running import plain_attributes
from luxgen.frontends.structure import map_tensors

HALVES = (torch.float16, torch.bfloat16)


def in_float32(model: nn.Module, *inputs: Any) -> tuple[Any, ...]:
    """The model and its inputs; where it holds halves, a copy of both in float32."""
    held = [*model.parameters(), *model.buffers()]
    if not any(t.dtype in HALVES for t in held):
        return (model, *inputs)
    wide = copy.deepcopy(model)._apply(_wide)
    for module in wide.modules():
        for name, value in plain_attributes(module).items():
            if isinstance(value, torch.Tensor):
                setattr(module, name, _wide(value))
    return (wide, *(map_tensors(_wide, item) for item in inputs))


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.dtype in HALVES else tensor
