"""torch.no_grad, custom autograd.Functions and hooks: where gradients aren't plain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.autograd import Function
from torch.utils.checkpoint import CheckpointFunction

CUSTOM = (
    "a torch.autograd.Function, whose backward is its own",
    "write its forward with torch functions, or transpile without --grad",
)
REVIVED = (
    "torch.enable_grad inside torch.no_grad",
    "leave no_grad before, or transpile without --grad",
)
HOOKED = (
    "a hook that may change gradients",
    "remove the hook, or transpile without --grad",
)


@dataclass
class GradMode:
    """Whether gradients would be recorded; the trace itself records none."""

    on: bool = True


@contextmanager
def followed_grad_mode(custom: Callable[[], None]) -> Iterator[GradMode]:
    """Follow what the model's code does to the grad mode, as if it began enabled.

    Calls `custom` where a user's autograd.Function is applied; activation
    checkpointing runs its function as it is.
    """
    mode = GradMode()
    is_enabled, set_enabled = torch.is_grad_enabled, torch._C._set_grad_enabled
    applied = Function.__dict__["apply"]

    def follow(on: bool) -> None:
        mode.on = on

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if cls is CheckpointFunction:
            return args[0](*args[2:])
        custom()
        return applied.__func__(cls, *args, **kwargs)

    torch.is_grad_enabled = lambda: mode.on
    torch._C._set_grad_enabled = follow  # type: ignore[assignment]
    setattr(Function, "apply", classmethod(apply))  # noqa: B010 - mypy: a method
    try:
        yield mode
    finally:
        torch.is_grad_enabled = is_enabled
        torch._C._set_grad_enabled = set_enabled
        setattr(Function, "apply", applied)  # noqa: B010


def hooked(model: nn.Module) -> list[str]:
    """Names of the modules and parameters with hooks on their gradients."""
    modules = [
        name or "the model"
        for name, m in model.named_modules()
        if m._backward_hooks or m._backward_pre_hooks
    ]
    named = model.named_parameters()
    return modules + [n for n, p in named if getattr(p, "_backward_hooks", None)]
