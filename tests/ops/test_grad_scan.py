"""VJP rows of running reductions and integrals against torch.autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.ops.gradcheck import check_vjp, of, t

T = torch.Tensor
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize(
    "name", ["cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"]
)
def test_running(name: str, dim: int) -> None:
    func = getattr(torch, name)
    check_vjp(func, t(3, 4, 2), dim)
    check_vjp(func, t(3, 4, 2, dtype=torch.float64), dim)
    check_vjp(func, t(3, 0, 2), dim)


@pytest.mark.parametrize(
    "name", ["cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"]
)
def test_of_scalars(name: str) -> None:
    check_vjp(getattr(torch, name), t(), 0)


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_complex_and_dtypes(name: str) -> None:
    check_vjp(getattr(torch, name), t(3, 4, dtype=torch.complex64), 1)
    check_vjp(getattr(torch, name), t(3, 4), 1, dtype=torch.float64)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_running_product_of_zeros() -> None:
    rows = [[1.0, 2, 3, 4], [0, 1, 2, 3], [1, 0, 2, 0], [2, 1, 3, 0], [0, 0, 1, 2]]
    check_vjp(torch.cumprod, of(*rows), 1)
    check_vjp(torch.cumprod, of(*rows), 0)


def test_ties_of_running_extremes() -> None:
    for func in (torch.cummax, torch.cummin):
        check_vjp(func, of(1.0, 1.0, 0.0, 2.0, 2.0, -1.0), 0)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_running_sums_of_logarithms() -> None:
    check_vjp(torch.logcumsumexp, of([600.0, 601.0, -200.0], [-900.0, -1.0, 800.0]), 1)
    check_vjp(torch.logcumsumexp, of(0.0, -INF, 1.0), 0)


@pytest.mark.parametrize("name", ["trapezoid", "trapz", "cumulative_trapezoid"])
@pytest.mark.parametrize("dim", [-1, 0, 1])
def test_integrals(name: str, dim: int) -> None:
    func = getattr(torch, name)
    check_vjp(func, t(3, 4, 2), dim=dim)
    check_vjp(func, t(3, 4, 2), dx=0.5, dim=dim)
    check_vjp(func, t(3, 4, 2), t((3, 4, 2)[dim]), dim=dim)
    check_vjp(func, t(3, 4, 2), t(3, 4, 2), dim=dim)


@pytest.mark.parametrize("name", ["trapezoid", "cumulative_trapezoid"])
def test_integrals_broadcast(name: str) -> None:
    func = getattr(torch, name)
    check_vjp(func, t(3, 4), t(1, 4))
    check_vjp(func, t(5, dtype=torch.complex64), t(5, dtype=torch.complex64))
    check_vjp(func, t(5))


def test_text() -> None:
    found: list[tuple[Callable[..., Any], str]] = [
        (torch.cumsum, "cumsum_backward(v0, 1)"),
        (torch.cumprod, "cumprod_backward(v0, v1, v2, 1)"),
    ]
    for func, text in found:
        assert check_vjp(func, t(2, 3), 1).split("\n")[-1] == text
