"""Torch's side of a comparison: float32, float64, and what is random."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from tests.conformance.compare import leaves

WIDER = {torch.float32: torch.float64, torch.complex64: torch.complex128}


class TorchCannotRunError(Exception):
    """Torch itself fails on this sample here."""


@dataclass
class Sample:
    """A module in its mode, and the arguments of one forward call."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass
class Forward:
    """Outputs of one call, and the tensors of the module's state_dict after it."""

    outputs: Any
    state: dict[str, torch.Tensor]


def forward(sample: Sample, *, seed: int = 0) -> Forward:
    """Torch's results; the sample's own module and inputs stay as they are."""
    twin = copy.deepcopy(sample)
    torch.manual_seed(seed)
    with torch.no_grad():
        outputs = twin.module(*twin.args, **twin.kwargs)
    state = twin.module.state_dict()
    return Forward(
        outputs, {k: v for k, v in state.items() if isinstance(v, torch.Tensor)}
    )


def forward_in_float64(sample: Sample) -> Forward | None:
    """The same in float64; None where torch has no float64 form of an operation."""
    twin = copy.deepcopy(sample)
    twin = Sample(twin.module.double(), widened(twin.args), widened(twin.kwargs))
    try:
        return forward(twin)
    except (RuntimeError, TypeError):  # float32 written into the model's code
        try:
            with Widening():
                return forward(twin)
        except (RuntimeError, TypeError):
            return None


class Widening(TorchFunctionMode):
    """Every torch call in float64, whatever the model's code asks for."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is torch.Tensor.float:
            func = torch.Tensor.double
        return func(*_wide(args), **_wide(kwargs or {}))


def _wide(item: Any) -> Any:
    """As `widened`, but what is wide already stays the same object."""
    if isinstance(item, torch.Tensor):
        return item.to(WIDER[item.dtype]) if item.dtype in WIDER else item
    if isinstance(item, torch.dtype):
        return WIDER.get(item, item)
    if type(item) in (list, tuple):
        return type(item)(_wide(v) for v in item)
    if isinstance(item, dict):
        return {k: _wide(v) for k, v in item.items()}
    return item


def widened(item: Any) -> Any:
    """Copies of tensors (and dtypes) in nested arguments, float32 made float64."""
    if isinstance(item, torch.Tensor):
        return item.detach().clone().to(WIDER.get(item.dtype, item.dtype))
    if isinstance(item, torch.dtype):
        return WIDER.get(item, item)
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*(widened(v) for v in item))
    if type(item) in (list, tuple):
        return type(item)(widened(v) for v in item)
    if isinstance(item, dict):
        return {k: widened(v) for k, v in item.items()}
    return item


def is_random(sample: Sample) -> bool:
    """Whether two forwards from different seeds differ."""
    try:
        one, two = (forward(sample, seed=seed).outputs for seed in (1, 2))
    except Exception as error:
        raise TorchCannotRunError(f"{type(error).__name__}: {error}") from error
    return any_differ(one, two)


def any_differ(one: Any, two: Any) -> bool:
    """Whether any tensor of two results differs (NaN equals NaN)."""
    a, b = leaves(one), leaves(two)
    return len(a) != len(b) or any(
        isinstance(x, torch.Tensor)
        and not torch.equal(_plain(x), _plain(y))
        and not torch.equal(_plain(x).nan_to_num(), _plain(y).nan_to_num())
        for x, y in zip(a, b, strict=True)
    )


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """What torch.equal takes: dense, and no complex numbers of halves."""
    dense = tensor if tensor.layout is torch.strided else tensor.to_dense()
    return dense.cfloat() if dense.dtype is torch.complex32 else dense


def stop_dropout(module: nn.Module) -> None:
    """Set every dropout probability in the module to 0."""
    for part in module.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.p = 0.0
        for name in ("dropout", "drop_prob", "dropout_p", "attn_drop_prob"):
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, 0.0)
