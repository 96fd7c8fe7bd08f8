"""Python containers of tensors <-> IR arguments."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch

from luxgen.ir.values import Arg, Structure


def is_record(item: Any) -> bool:
    """A NamedTuple or dataclass instance (transformers' ModelOutput is the latter)."""
    named = isinstance(item, tuple) and hasattr(item, "_fields")
    return named or (dataclasses.is_dataclass(item) and not isinstance(item, type))


def record_fields(item: Any) -> list[tuple[str, Any]]:
    """Fields of a record in order, without the dataclass fields that are None."""
    if isinstance(item, tuple):
        return list(zip(item._fields, item, strict=True))  # type: ignore[attr-defined]
    pairs = [(f.name, getattr(item, f.name)) for f in dataclasses.fields(item)]
    return [(name, value) for name, value in pairs if value is not None]


def to_arg(item: Any, leaf: Callable[[Any], Arg]) -> Arg:
    """Map tensors and plain values by `leaf`, containers to IR containers."""
    if isinstance(item, torch.Size):
        return tuple(leaf(v) for v in item)
    if is_record(item):
        fields = record_fields(item)
        return Structure(
            type(item).__name__, tuple((k, to_arg(v, leaf)) for k, v in fields)
        )
    if isinstance(item, tuple):
        return tuple(to_arg(v, leaf) for v in item)
    if isinstance(item, list):
        return [to_arg(v, leaf) for v in item]
    if isinstance(item, dict):
        return {k: to_arg(v, leaf) for k, v in item.items()}
    if isinstance(item, slice):
        return slice(*(to_arg(v, leaf) for v in (item.start, item.stop, item.step)))
    return leaf(item)


def tensors_in(item: Any) -> Iterator[torch.Tensor]:
    """Every tensor inside nested containers, in order."""
    if isinstance(item, torch.Tensor):
        yield item
    elif is_record(item):
        for _, value in record_fields(item):
            yield from tensors_in(value)
    elif isinstance(item, (tuple, list)):
        for value in item:
            yield from tensors_in(value)
    elif isinstance(item, dict):
        for value in item.values():
            yield from tensors_in(value)
    elif isinstance(item, slice):
        yield from tensors_in((item.start, item.stop, item.step))


def map_tensors(visit: Callable[[torch.Tensor], Any], item: Any) -> Any:
    """Rebuild containers and records with `visit` applied to every tensor."""
    if isinstance(item, torch.Tensor):
        return visit(item)
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*(map_tensors(visit, v) for v in item))
    if is_record(item):
        new = copy.copy(item)
        for name, value in record_fields(item):
            object.__setattr__(new, name, map_tensors(visit, value))
        return new
    if isinstance(item, (tuple, list)):
        return type(item)(map_tensors(visit, v) for v in item)
    if isinstance(item, dict):
        return {k: map_tensors(visit, v) for k, v in item.items()}
    return item
