"""Tensors that no recorded op made: constants, or made where luxgen can't look.

A constant that lives in the model is the same object in every run. Any other one
must at least hold the same values whatever the inputs hold: what TorchScript, a
gradient taken inside forward or a C++ extension computes doesn't.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from luxgen.errors import Site
from luxgen.frontends.records import INLINE_CONSTANT, Trace, Unseen
from luxgen.frontends.structure import map_tensors
from luxgen.frontends.witness import Misaligned


def unseen_sites(first: Trace, second: Trace, again: Callable[[], Trace]) -> list[Site]:
    """Where a tensor is used that is no constant; `again` runs with other values.

    Raises Misaligned for a constant that depends on a size.
    """
    suspects = _made_anew(first, second)
    if not suspects:
        return []
    try:
        others = _made_anew(again(), first)
    except Exception:  # the model refuses other values: nothing is known
        others = []
    pairs = list(zip(suspects, others, strict=False))
    wrong = [s for s, other in pairs if not _same(s[0], other[0])]
    if len(others) != len(suspects):
        wrong = suspects
    if not wrong:
        for (tensor, site), (twin, _) in zip(
            suspects, _made_anew(second, first), strict=False
        ):
            if tensor.numel() > INLINE_CONSTANT and not _same(tensor, twin):
                raise Misaligned("a constant depends on a size", (site.file, site.line))
    return [site for _, site in wrong]


def other_values(args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Inputs of the same sizes that hold something else."""
    noise = torch.Generator().manual_seed(1)

    def visit(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_floating_point() and not tensor.is_complex():
            return tensor.roll(1, -1) if tensor.dim() else tensor
        spread = tensor.std() if tensor.numel() > 1 else tensor.new_tensor(1.0)
        drawn = torch.randn(tensor.shape, generator=noise).to(tensor.dtype)
        return tensor + 0.1 * spread * drawn

    return map_tensors(visit, args), map_tensors(visit, kwargs)


def _made_anew(trace: Trace, other: Trace) -> list[Unseen]:
    held = {id(t) for t, _ in other.unseen}
    return [each for each in trace.unseen if id(each[0]) not in held]


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return (
        a.shape == b.shape
        and a.dtype == b.dtype
        and torch.equal(a.nan_to_num(), b.nan_to_num())
    )
