"""Which input sizes stay free: vary each, and let a second trace be the witness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from luxgen.frontends.structure import is_record, record_fields
from luxgen.frontends.trace import unchanged

BATCH = (11, 7, 5)  # first trace, witness, verification
_LARGE = 1 << 18  # input elements from which traces use smaller batches


@dataclass
class Size:
    """One free size: where it stands in the inputs, its name and values to try.

    `values` are (first trace, witness, verification).
    """

    name: str
    places: tuple[tuple[int, int], ...]  # (tensor, axis)
    values: tuple[int, int, int]


@dataclass
class Sizes:
    """The free sizes of a model's inputs, and what was fixed and why."""

    free: list[Size] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)


def tensors_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
    return list(_tensors((args, kwargs)))


def _tensors(item: Any) -> Iterator[torch.Tensor]:
    if isinstance(item, torch.Tensor):
        yield item
    elif is_record(item):
        for _, value in record_fields(item):
            yield from _tensors(value)
    elif isinstance(item, (tuple, list)):
        for value in item:
            yield from _tensors(value)
    elif isinstance(item, dict):
        for value in item.values():
            yield from _tensors(value)


def candidates(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    names: dict[tuple[int, int], str] | None,
) -> list[list[Size]]:
    """Groups of places that may vary together, with several values to try for each."""
    tensors = tensors_of(args, kwargs)
    places: dict[Any, list[tuple[int, int]]] = {}
    labels: dict[Any, str] = {}
    ranked = [t for t in tensors if t.dim()]
    batch = ranked[0].shape[0] if ranked else 0
    for k, tensor in enumerate(tensors):
        for axis, size in enumerate(tensor.shape):
            if names is not None:
                key: Any = names.get((k, axis))
                if key is None:
                    continue
                label = key
            elif axis == 0 and size == batch:
                key, label = "batch", "N"
            else:
                key, label = (
                    (size, axis if tensor.dim() == 4 else -1),
                    _label(tensor, axis),
                )
            places.setdefault(key, []).append((k, axis))
            labels.setdefault(key, label)
    seen: dict[str, int] = {}
    groups = []
    for key, where in places.items():
        label = labels[key]
        seen[label] = seen.get(label, 0) + 1
        if names is None and seen[label] > 1:
            label = f"{label}{seen[label]}"
        size = tensors[where[0][0]].shape[where[0][1]]
        elements = max((t.numel() for t in tensors), default=0) // max(size, 1)
        large = elements * BATCH[0] > _LARGE
        is_batch = key == "batch" or (names is not None and where[0] == (0, 0))
        groups.append(
            [Size(label, tuple(where), v) for v in _values(size, is_batch, large)]
        )
    return groups


def _label(tensor: torch.Tensor, axis: int) -> str:
    if tensor.dim() == 4:
        return "NCHW"[axis]
    if tensor.dim() == 5:
        return "NCDHW"[axis]
    return "N" if axis == 0 else "T" if axis == 1 else "L"


def _values(size: int, batch: bool, large: bool) -> list[tuple[int, int, int]]:
    if batch:
        return [(5, 3, 2)] if large else [BATCH]
    if size < 2:
        return []
    if size >= 32:
        return [
            (size, size + 32, size + 64),
            (size, size - 5, size - 3),
            (size, size // 2, size // 4 * 3),
        ]
    if size >= 12:
        return [
            (size, size - 5, size - 3),
            (size, size + 6, size + 9),
            (size, size * 2, size * 3),
        ]
    return [(size, size + 6, size + 4), (size, size * 2, size * 3)]


def resized(args: Any, kwargs: Any, sizes: list[Size], which: int) -> tuple[Any, Any]:
    """The inputs with every free size at its value number `which`, by repetition."""
    counter = iter(range(10**6))
    table = {place: s.values[which] for s in sizes for place in s.places}

    def visit(item: Any) -> Any:
        if isinstance(item, torch.Tensor):
            return _resize(item, next(counter), table)
        if isinstance(item, tuple) and hasattr(item, "_fields"):
            return type(item)(*(visit(v) for v in item))
        if is_record(item):
            import copy

            new = copy.copy(item)
            for name, value in record_fields(item):
                object.__setattr__(new, name, visit(value))
            return new
        if isinstance(item, (tuple, list)):
            return type(item)(visit(v) for v in item)
        if isinstance(item, dict):
            return {k: visit(v) for k, v in item.items()}
        return item

    return visit(args), visit(kwargs)


def _resize(
    tensor: torch.Tensor, number: int, table: dict[tuple[int, int], int]
) -> torch.Tensor:
    result = tensor.detach()
    for axis in range(tensor.dim()):
        size = table.get((number, axis))
        if size is not None and tensor.shape[axis]:
            index = torch.arange(size) % tensor.shape[axis]
            result = result.index_select(axis, index)
    if result.dtype.is_floating_point and result.shape != tensor.shape and number >= 0:
        noise = torch.Generator().manual_seed(number)
        spread = float(tensor.std()) if tensor.numel() > 1 else 1.0
        if spread > 0 and bool((tensor != tensor.round()).any()):
            noisy = torch.randn(result.shape, generator=noise, dtype=torch.float32)
            result = result + (0.1 * spread * noisy).to(result.dtype)
    return result.clone()


def runs(model: nn.Module, args: Any, kwargs: Any) -> Exception | None:
    """None if the model runs on these inputs in eval mode, else what it raised."""
    try:
        with unchanged(model), torch.no_grad():
            model.eval()
            model(*args, **kwargs)
    except Exception as error:
        return error
    return None


def choose(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    names: dict[tuple[int, int], str] | None = None,
) -> Sizes:
    """Free sizes that the model runs with, each tried alone at three values."""
    result = Sizes()
    for group in candidates(args, kwargs, names):
        error: Exception | None = None
        for size in group:
            error = next(
                (e for k in (0, 1, 2)
                 if (e := runs(model, *resized(args, kwargs, [size], k))) is not None),
                None,
            )  # fmt: skip
            if error is None:
                result.free.append(size)
                break
        if group and error is not None and names is not None:
            reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
            result.fixed.append(
                f"{group[0].name}: torch refuses other sizes ({reason[0][:100]})"
            )
    return result
