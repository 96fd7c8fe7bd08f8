"""What a module was called with, by the parameter names of its forward."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from luxgen.frontends.structure import to_arg
from luxgen.ir.values import Arg


def forward_arguments(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    arg: Callable[[Any], Arg],
) -> tuple[dict[str, Arg], tuple[str, ...]]:
    """The arguments that were given, and the names of those without a default."""
    signature = inspect.signature(module.forward)
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError:
        bound = {f"x{k}": a for k, a in enumerate(args)} | kwargs
        return {k: to_arg(v, arg) for k, v in bound.items()}, ()
    result: dict[str, Arg] = {}
    required: list[str] = []
    for name, item in bound.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            result |= {k: to_arg(v, arg) for k, v in item.items()}
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            for k, each in enumerate(item):
                result[f"{name}_{k}"] = to_arg(each, arg)
                required.append(f"{name}_{k}")
        else:
            result[name] = to_arg(item, arg)
            if signature.parameters[name].default is inspect.Parameter.empty:
                required.append(name)
    return result, tuple(required)
