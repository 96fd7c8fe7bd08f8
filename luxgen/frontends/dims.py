"""Which input sizes stay free: vary each, and let a second trace be the witness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Any

import torch
from torch import nn

from luxgen.frontends.running import unchanged
from luxgen.frontends.structure import is_record, record_fields

BATCH = (11, 7, 5)  # first trace, witness, verification
_LARGE_MODEL = 20_000_000  # parameters, likewise
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


def _other_groups(
    tensors: list[torch.Tensor], taken: set[tuple[int, int]]
) -> list[list[Size]]:
    """Places that aren't the batch's, equal sizes together, with values to try."""
    places: dict[Any, list[tuple[int, int]]] = {}
    for k, tensor in enumerate(tensors):
        for axis, size in enumerate(tensor.shape):
            if (k, axis) not in taken:
                key = (size, axis if tensor.dim() == 4 else -1)
                places.setdefault(key, []).append((k, axis))
    used = {"N"}
    groups = []
    for where in places.values():
        k, axis = where[0]
        label = base = _label(tensors[k], axis)
        count = 1
        while label in used:
            count += 1
            label = f"{base}{count}"
        used.add(label)
        values = _values(tensors[k].shape[axis], False, False)
        if tensors[k].dim() == 4 and axis == 3 and where[0][1] == 3:
            values = _stretched(values)
        groups.append([Size(label, tuple(where), v) for v in values])
    return groups


def _named_groups(
    tensors: list[torch.Tensor], names: dict[tuple[int, int], str], large: bool
) -> list[list[Size]]:
    groups = []
    for name in dict.fromkeys(names.values()):
        where = tuple(place for place, n in names.items() if n == name)
        k, axis = where[0]
        batch = where[0] == (0, 0)
        values = _values(tensors[k].shape[axis], batch, large)
        groups.append([Size(name, where, v) for v in values])
    return groups


def _is_large(model: nn.Module, tensors: list[torch.Tensor]) -> bool:
    """Whether the usual batches would take long or much memory."""
    rows = max((t.numel() // max(t.shape[0], 1) for t in tensors if t.dim()), default=0)
    weights = sum(p.numel() for p in model.parameters())
    return rows * BATCH[0] > _LARGE or weights > _LARGE_MODEL


def _batches(tensors: list[torch.Tensor], large: bool) -> list[Size]:
    """Which axis of each tensor may be the batch: the first of that size, or another."""
    first = next((t for t in tensors if t.dim()), None)
    if first is None:
        return []
    values = _values(first.shape[0], True, large)
    result = []
    for batch in dict.fromkeys((first.shape[0], *first.shape[1:2])):
        shapes = list(dict.fromkeys(tuple(t.shape) for t in tensors))
        axes = [
            [*(k for k, n in enumerate(shape) if n == batch), None] for shape in shapes
        ]
        for choice in islice(product(*axes), 24):
            chosen = dict(zip(shapes, choice, strict=True))
            where = tuple(
                (k, axis) for k, t in enumerate(tensors)
                if (axis := chosen[tuple(t.shape)]) is not None
            )  # fmt: skip
            if where:
                result += [Size("N", where, v) for v in values]
    return result


def _label(tensor: torch.Tensor, axis: int) -> str:
    if tensor.dim() == 4:
        return "NCHW"[axis]
    if tensor.dim() == 5:
        return "NCDHW"[axis]
    return "N" if axis == 0 else "T" if axis == 1 else "L"


def _stretched(values: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Other values for the width, so that it isn't taken for the height."""
    return [(a, b + (b - a), c) for a, b, c in values if 2 * b > a]


def _values(size: int, batch: bool, large: bool) -> list[tuple[int, int, int]]:
    if batch:
        return [(4, 3, 2)] if large else [BATCH]
    if size < 2:
        return []
    if size >= 32:
        return [
            (size, size + 32, size + 16),
            (size, size + 32, size + 64),
            (size, size - 5, size - 3),
            (size, size // 2, size // 4 * 3),
        ]
    if size >= 12:
        return [
            (size, size + 6, size + 9),  # more first: torch doesn't check all indices
            (size, size - 5, size - 3),
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
    """Free sizes that the model runs with: each alone at three values, and together."""
    tensors = tensors_of(args, kwargs)
    large = _is_large(model, tensors)
    result = Sizes()
    if names is not None:
        groups = _named_groups(tensors, names, large)
    else:
        batch, _ = _first_that_runs(model, args, kwargs, _batches(tensors, large))
        result.free += [batch] if batch else []
        groups = _other_groups(tensors, set(batch.places) if batch else set())
    for group in groups:
        taken = {_steps(s) for s in result.free}
        group = sorted(group, key=lambda s: _steps(s) in taken)
        size, error = _first_that_runs(model, args, kwargs, group, result.free)
        if size is not None:
            result.free.append(size)
        elif names is not None and error is not None:
            reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
            result.fixed.append(
                f"{group[0].name}: torch refuses other sizes ({reason[0][:100]})"
            )
    return result


def _steps(size: Size) -> tuple[int, int]:
    """How a size varies: two that vary alike can't be told from each other."""
    first, second, third = size.values
    return second - first, third - first


def _first_that_runs(
    model: nn.Module,
    args: Any,
    kwargs: Any,
    group: list[Size],
    free: Sequence[Size] = (),
) -> tuple[Size | None, Exception | None]:
    """The first hypothesis with which the model runs, also beside the sizes `free`."""
    error: Exception | None = None
    for size in group:
        tries = [([size], k) for k in (0, 1, 2)]
        tries += [([*free, size], k) for k in (1, 2) if free]
        error = next(
            (e for sizes, k in tries
             if (e := runs(model, *resized(args, kwargs, sizes, k))) is not None),
            None,
        )  # fmt: skip
        if error is None:
            return size, None
    return None, error
