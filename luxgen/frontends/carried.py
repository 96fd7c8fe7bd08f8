"""State that a model keeps from call to call outside its buffers."""

from __future__ import annotations

import ast
import inspect
import random
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from luxgen.errors import Site
from luxgen.frontends.running import plain_attributes, unchanged
from luxgen.frontends.sites import site_on
from luxgen.frontends.structure import map_tensors, tensors_in

Attributes = dict[tuple[str, str], Any]  # (module's path, name) -> what it holds
Inputs = tuple[Any, Any]


def attributes_of(model: nn.Module) -> Attributes:
    """What every module holds beside parameters, buffers and submodules."""
    return {
        (path, name): _held(value)
        for path, module in model.named_modules()
        for name, value in plain_attributes(module).items()
        if name != "training"
    }


def _held(value: Any) -> Any:
    """Equal before and after a call if the call left it alone."""
    if isinstance(value, torch.Tensor):
        return (id(value), value._version if not value.is_inference() else 0)
    if isinstance(value, (list, tuple)):
        return [_held(v) for v in value]
    if isinstance(value, dict):
        return {k: _held(v) for k, v in value.items()}
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    return id(value)


def changed(model: nn.Module, before: Attributes) -> list[tuple[str, str]]:
    """The attributes that a call changed or made."""
    now = attributes_of(model)
    return [
        key for key, held in now.items() if key not in before or before[key] != held
    ]


def carried(
    model: nn.Module, names: list[tuple[str, str]], inputs: list[Inputs], training: bool
) -> list[Site]:
    """Where the changed attributes are set, if a later call's result depends on them."""
    first, second = inputs
    modules = dict(model.named_modules())
    names = [key for key in names if key[0] in modules]  # others are made in forward
    with torch.no_grad():
        fresh = _result(model, second, training, {})
        left = _left(model, names, first, training)
        if _same_result(model, second, training, left, fresh):
            return []
        culprits = [
            key
            for key in names
            if not _same_result(model, second, training, {key: left[key]}, fresh)
        ]
    return [
        site_on(where_set(type(modules[path]), name),
                f"self.{name} is kept from one call to the next, and it isn't a buffer",
                f'register it: self.register_buffer("{name}", ...)')
        for path, name in culprits or names
    ]  # fmt: skip


def _left(
    model: nn.Module, names: list[tuple[str, str]], inputs: Inputs, training: bool
) -> Attributes:
    """What one call leaves in the attributes."""
    with unchanged(model):
        modules = dict(model.named_modules())
        _call(model, inputs, training)
        return {key: _copied(vars(modules[key[0]]).get(key[1])) for key in names}


def _result(
    model: nn.Module, inputs: Inputs, training: bool, attributes: Attributes
) -> Any:
    """The result of a call that finds these attributes."""
    with unchanged(model):
        modules = dict(model.named_modules())
        for (path, name), value in attributes.items():
            modules[path].__dict__[name] = _copied(value)
        return _call(model, inputs, training)


def _same_result(
    model: nn.Module, inputs: Inputs, training: bool, attributes: Attributes, fresh: Any
) -> bool:
    try:
        return _equal(fresh, _result(model, inputs, training, attributes))
    except Exception:  # torch refuses what the call before left
        return False


def _call(model: nn.Module, inputs: Inputs, training: bool) -> Any:
    model.train(training)
    _seed()
    args, kwargs = inputs
    return _copied(model(*_copied(args), **_copied(kwargs)))


def _seed() -> None:
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)


def _copied(item: Any) -> Any:
    """Containers of inputs or results, with every tensor cloned."""
    return map_tensors(lambda t: t.detach().clone(), item)


def _equal(a: Any, b: Any) -> bool:
    left, right = list(tensors_in(a)), list(tensors_in(b))
    return len(left) == len(right) and all(
        x.shape == y.shape and torch.equal(x.nan_to_num(), y.nan_to_num())
        for x, y in zip(left, right, strict=True)
    )


def where_set(kind: type, name: str) -> tuple[str, int]:
    """The line of the class that sets self.<name>, or else one that uses it."""
    found = list(_mentions(kind, name))
    sets = [place for place, is_set in found if is_set]
    return next(iter([*sets, *(place for place, _ in found)]), ("", 0))


def _mentions(kind: type, name: str) -> Iterator[tuple[tuple[str, int], bool]]:
    """Places of self.<name> outside the constructor, and whether they set it."""
    for function in (f for each in kind.__mro__ for f in vars(each).values()):
        if not inspect.isfunction(function) or function.__name__ == "__init__":
            continue
        try:
            lines, start = inspect.getsourcelines(function)
            tree = ast.parse(textwrap.dedent("".join(lines)))
        except (OSError, SyntaxError, TypeError):
            continue
        file = inspect.getsourcefile(function) or ""
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == name:
                place = (file, start + node.lineno - 1)
                yield place, isinstance(node.ctx, ast.Store)
