"""Example inputs of a live model, where its layers leave only one possibility."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from luxgen.errors import InputError
from luxgen.frontends.init_arguments import Arguments
from luxgen.frontends.inputs import resolve_inputs
from luxgen.frontends.instance import Loaded
from luxgen.frontends.lazy import require_initialised


def inferred_inputs(model: nn.Module) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments on which forward runs; InputError where they aren't certain."""
    require_initialised(model)
    try:
        found = resolve_inputs(_loaded(model), model, [], {})
    except InputError as error:
        why = str(error).partition("; add\n")[0]  # what to add to a command line
        raise InputError(
            f"{why}; pass example inputs: adapt(adaptor, model, x)"
        ) from None
    return found.args, found.kwargs


def _loaded(model: nn.Module) -> Loaded:
    """The live model as a file's; errors in forward are shown by its class's file."""
    namespace = ModuleType("live")
    namespace.__dict__["model"] = model
    try:
        file = inspect.getsourcefile(type(model))
    except TypeError:  # a class made at a prompt
        file = None
    path = Path(file or "<model>")
    return Loaded("model", path, "", namespace, {}, Arguments((), {}))
