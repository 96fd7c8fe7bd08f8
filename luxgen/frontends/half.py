"""Half-precision models compute in float32: NumPy has no bfloat16 arithmetic."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from luxgen.frontends.running import plain_attributes
from luxgen.frontends.structure import is_record, record_fields

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
    return (wide, *(_each(item) for item in inputs))


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.dtype in HALVES else tensor


def _each(item: Any) -> Any:
    if isinstance(item, torch.Tensor):
        return _wide(item)
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*(_each(v) for v in item))
    if is_record(item):
        new = copy.copy(item)
        for name, value in record_fields(item):
            object.__setattr__(new, name, _each(value))
        return new
    if isinstance(item, (tuple, list)):
        return type(item)(_each(v) for v in item)
    if isinstance(item, dict):
        return {k: _each(v) for k, v in item.items()}
    return item
