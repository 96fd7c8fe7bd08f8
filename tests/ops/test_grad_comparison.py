"""VJP rows of selection by a mask against torch.autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.ops.gradcheck import check_vjp, t

T = torch.Tensor


def mask(*shape: int) -> T:
    return torch.rand(shape) > 0.5


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        (t(3, 4), t(3, 4)), (t(4), t(3, 1)), (t(3, 4), 0.0), (1.5, t(4)), (t(), t()),
        (t(3, 4, dtype=torch.complex64), t(4, dtype=torch.complex64)), (t(3, 4, dtype=torch.float64), t(4)),
    ],
)  # fmt: skip
def test_where(yes: Any, no: Any) -> None:
    check_vjp(torch.where, mask(3, 4), yes, no)


def test_where_broadcasts_its_mask() -> None:
    check_vjp(torch.where, mask(2, 3, 1), t(3, 4), t(4))
    check_vjp(torch.where, mask(), t(3), t(1))


def test_where_keeps_what_is_not_taken_out() -> None:
    x = torch.tensor([float("nan"), 1.0, float("inf")], requires_grad=True)
    check_vjp(torch.where, torch.tensor([False, True, False]), x, t(3))


def test_masked_fill() -> None:
    check_vjp(torch.masked_fill, t(3, 4), mask(4), 2.0)
    check_vjp(torch.masked_fill, t(4), mask(3, 4), float("-inf"))
    check_vjp(torch.masked_fill, t(3, 4), mask(3, 4), t())
    check_vjp(torch.masked_fill, t(), mask(), t())


def test_masked_select() -> None:
    check_vjp(torch.masked_select, t(3, 4), mask(3, 4))
    check_vjp(torch.masked_select, t(4), mask(3, 4))
    check_vjp(torch.masked_select, t(3, 4), mask(4))
    check_vjp(torch.masked_select, t(3), torch.tensor([False, False, False]))


def test_masked_scatter() -> None:
    check_vjp(torch.masked_scatter, t(3, 4), mask(3, 4), t(4, 5))
    check_vjp(torch.masked_scatter, t(3, 4), mask(4), t(12))
