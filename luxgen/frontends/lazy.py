"""Lazy layers get their shapes from the first call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from luxgen.errors import InputError


def require_initialised(model: nn.Module) -> None:
    """InputError for a live model with layers that have no shapes yet."""
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise InputError(
                f"{name} belongs to a lazy layer and has no shape yet: "
                "call the model once on an example before transpiling it"
            )


def called_once(
    build: Callable[[], nn.Module], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Callable[[], nn.Module]:
    """`build`, with lazy layers initialised by a first call."""

    def initialised() -> nn.Module:
        model = build()
        if any(is_lazy(p) for p in model.parameters()):
            with torch.no_grad():
                model(*args, **kwargs)
        return model

    return initialised
