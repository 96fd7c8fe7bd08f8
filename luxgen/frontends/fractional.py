"""Fractional max pooling draws inside: the draw is made a step before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_AXES = {
    f"fractional_max_pool{nd}d{form}": nd
    for nd in (2, 3)
    for form in ("", "_with_indices")
}


def with_samples(
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    size: Callable[[torch.Tensor, int], int],
    draw: Callable[[tuple[int, ...], torch.dtype], torch.Tensor],
) -> dict[str, Any]:
    """`kwargs` with `_random_samples`, drawn as torch does if not given."""
    nd = _AXES.get(name)
    if nd is None or len(args) > 5 or kwargs.get("_random_samples") is not None:
        return kwargs
    x = args[0] if args else kwargs["input"]
    rows = 1 if x.dim() == nd + 1 else size(x, 0)
    samples = draw((rows, size(x, x.dim() - nd - 1), nd), x.dtype)
    return {**kwargs, "_random_samples": samples}
