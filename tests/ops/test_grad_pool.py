"""VJP rows of pooling and unpooling against torch.autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import luxgen
from tests.ops.gradcheck import check_layer, check_vjp, t
from tests.ops.test_pool import (
    ADAPTIVE_AVG,
    ADAPTIVE_MAX,
    AVG,
    LP,
    MAX,
    SIZES,
    UNPOOL,
    WINDOWS,
)

DIMS = pytest.mark.parametrize("nd", [1, 2, 3])


def tied(*shape: int) -> torch.Tensor:
    """Few distinct values, so that most windows hold their maximum several times."""
    return torch.randint(0, 3, shape).float().requires_grad_()


@DIMS
@pytest.mark.parametrize("options", WINDOWS, ids=str)
def test_max_pool(nd: int, options: dict[str, Any]) -> None:
    check_vjp(MAX[nd], t(2, 3, *SIZES[nd]), **options)
    check_vjp(MAX[nd], t(3, *SIZES[nd]), return_indices=True, **options)
    check_vjp(MAX[nd], t(2, 3, *SIZES[nd]), dilation=2 if nd < 3 else 1, **options)


@DIMS
def test_max_pool_sends_ties_to_the_first(nd: int) -> None:
    check_vjp(MAX[nd], tied(2, 3, *SIZES[nd]), 3, stride=2, padding=1)
    check_vjp(MAX[nd], tied(2, 3, *SIZES[nd]), 2)
    check_vjp(ADAPTIVE_MAX[nd], tied(2, 3, *SIZES[nd]), 3)


def test_max_pool_by_axis() -> None:
    x = t(2, 3, 12, 15)
    check_vjp(F.max_pool2d, x, (3, 2), stride=(1, 3), padding=(1, 0), dilation=(2, 1))
    check_vjp(torch.max_pool2d, x, [2, 2])
    check_vjp(torch.ops.aten.max_pool2d_with_indices.default, x, [3, 3], [2, 2])


def test_max_pool_in_many_parts() -> None:
    check_vjp(F.max_pool2d, t(5, 7, 60, 64), 2)
    check_vjp(F.max_pool2d, t(0, 7, 8, 8), 2)


@DIMS
@pytest.mark.parametrize("options", WINDOWS, ids=str)
def test_avg_pool(nd: int, options: dict[str, Any]) -> None:
    check_vjp(AVG[nd], t(2, 3, *SIZES[nd]), **options)
    check_vjp(AVG[nd], t(3, *SIZES[nd]), count_include_pad=False, **options)
    if nd > 1:
        check_vjp(AVG[nd], t(2, 3, *SIZES[nd]), divisor_override=3, **options)


def test_avg_pool_by_axis() -> None:
    check_vjp(F.avg_pool2d, t(2, 3, 12, 15), (3, 2), stride=(1, 3), padding=(1, 0))
    check_vjp(F.avg_pool2d, t(2, 3, 12, 15), (12, 15))


@DIMS
@pytest.mark.parametrize("norm_type", [1, 2, 3.0])
def test_lp_pool(nd: int, norm_type: float) -> None:
    x = torch.rand(2, 3, *SIZES[nd]).add(0.1).requires_grad_()
    check_vjp(LP[nd], x, norm_type, 2)
    check_vjp(LP[nd], x, norm_type, 3, stride=2, ceil_mode=True)
    check_vjp(LP[nd], F.threshold(x.detach(), 0.9, 0.0).requires_grad_(), norm_type, 2)


@DIMS
@pytest.mark.parametrize("size", [1, 2, 3, 5, None])
def test_adaptive_pool(nd: int, size: int | None) -> None:
    sizes: Any = 4 if size is None and nd == 1 else size
    if size is None and nd > 1:
        sizes = (None, *[4] * (nd - 1))
    check_vjp(ADAPTIVE_AVG[nd], t(2, 3, *SIZES[nd]), sizes)
    check_vjp(ADAPTIVE_MAX[nd], t(2, 3, *SIZES[nd]), sizes)
    check_vjp(ADAPTIVE_MAX[nd], t(3, *SIZES[nd]), sizes, return_indices=True)


@pytest.mark.parametrize("nd", [2, 3])
def test_fractional_max_pool(nd: int) -> None:
    function: Any = (F.fractional_max_pool2d, F.fractional_max_pool3d)[nd - 2]
    samples = torch.rand(2, 3, nd)
    x = t(2, 3, *SIZES[nd])
    check_vjp(function, x, 2, output_size=4, _random_samples=samples)
    options = {"output_ratio": (0.5,) * nd, "return_indices": True}
    check_vjp(function, x, 3, _random_samples=samples, **options)


@DIMS
def test_max_unpool(nd: int) -> None:
    x = torch.randn(2, 3, *SIZES[nd])
    y, indices = MAX[nd](x, 3, 2, return_indices=True)  # windows overlap: repeated
    check_vjp(UNPOOL[nd], y.requires_grad_(), indices, 3, 2, output_size=SIZES[nd])
    y, indices = MAX[nd](torch.randn(3, *[6] * nd), 2, return_indices=True)
    check_vjp(UNPOOL[nd], y.requires_grad_(), indices, 2)


def test_drawn_windows_send_gradients_back() -> None:
    layers = nn.Sequential(nn.Conv2d(2, 3, 3), nn.FractionalMaxPool2d(2, 4))
    made = luxgen.transpile(layers, (torch.randn(3, 2, 10, 11),), grad=True)
    assert any(row.module == "(gradients)" and row.passed for row in made.report.rows)


@pytest.mark.parametrize("lead", [(2, 3), (3,)])
def test_max_pool_backward(lead: tuple[int, ...]) -> None:
    """The backward pass of aten, itself differentiated."""
    x = torch.randn(*lead, 7, 6)
    y, indices = F.max_pool2d_with_indices(x, 3, 2)
    back = torch.ops.aten.max_pool2d_with_indices_backward
    options: list[Any] = [[3, 3], [2, 2], [0, 0], [1, 1], False, indices]
    check_layer(
        "max_pool2d_with_indices_backward",
        {"grad_output": t(*y.shape), "input": x, "indices": indices},
        lambda grad_output, input, indices: back(grad_output, input, *options),
    )
