"""Pooling over windows, adaptive pooling and unpooling against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import luxgen
from luxgen.ops.fractional_pool import fractional_max_pool
from luxgen.targets.numpy.rules.op import Refused
from tests.ops.opcheck import check

torch.set_num_threads(1)

MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
LP = {1: F.lp_pool1d, 2: F.lp_pool2d, 3: F.lp_pool3d}
UNPOOL = {1: F.max_unpool1d, 2: F.max_unpool2d, 3: F.max_unpool3d}
ADAPTIVE_AVG = {
    1: F.adaptive_avg_pool1d,
    2: F.adaptive_avg_pool2d,
    3: F.adaptive_avg_pool3d,
}
ADAPTIVE_MAX = {
    1: F.adaptive_max_pool1d,
    2: F.adaptive_max_pool2d,
    3: F.adaptive_max_pool3d,
}
SIZES = {1: (13,), 2: (9, 11), 3: (6, 7, 8)}
WINDOWS: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": 2, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
    {"kernel_size": 4, "stride": 3, "padding": 2, "ceil_mode": True},
    {"kernel_size": 2, "stride": 4, "ceil_mode": True},
]


def randn(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape) + len(shape))
    return torch.randn(shape, generator=generator)


@pytest.mark.parametrize("nd", [1, 2, 3])
@pytest.mark.parametrize("options", WINDOWS, ids=str)
def test_max_pool(nd: int, options: dict[str, Any]) -> None:
    x = randn(2, 3, *SIZES[nd])
    check(MAX[nd], x, **options)
    check(MAX[nd], x - 9, return_indices=True, **options)
    check(MAX[nd], x[0], dilation=2 if nd < 3 else 1, **options)


@pytest.mark.parametrize("nd", [1, 2, 3])
@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("options", WINDOWS, ids=str)
def test_avg_pool(nd: int, include: bool, options: dict[str, Any]) -> None:
    x = randn(2, 3, *SIZES[nd])
    check(AVG[nd], x, count_include_pad=include, **options)
    if nd > 1:
        check(AVG[nd], x, divisor_override=5, count_include_pad=include, **options)


@pytest.mark.parametrize("size", [4, 5, 6, 7, 8])
@pytest.mark.parametrize("kernel, stride, padding", [(2, 3, 1), (3, 2, 1), (4, 3, 2)])
def test_ceil_mode_at_every_edge(
    size: int, kernel: int, stride: int, padding: int
) -> None:
    """A window that starts in the padding on the right is dropped."""
    x, window = randn(1, 2, size, size + 3), (kernel, stride, padding)
    check(F.max_pool2d, x, *window, ceil_mode=True)
    check(F.max_pool2d, x, *window, ceil_mode=True, return_indices=True)
    for include in (True, False):
        check(F.avg_pool2d, x, *window, ceil_mode=True, count_include_pad=include)


def test_one_option_per_axis() -> None:
    x = randn(2, 3, 9, 11)
    window = {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}
    check(F.max_pool2d, x, **window)
    check(F.max_pool2d, x, **window, dilation=(2, 3), return_indices=True)
    check(F.avg_pool2d, x, **window, ceil_mode=True)
    check(F.max_pool3d, x, (1, 3, 2), (1, 2, 3), (0, 1, 1))
    check(F.avg_pool3d, x, [1, 3, 2], [1, 2, 3], [0, 1, 1], False, False)
    check(torch.max_pool1d, x[0], [3], [2], [1])
    check(torch.avg_pool1d, x[0], [3], [2], [1])


@pytest.mark.parametrize("nd", [1, 2, 3])
@pytest.mark.parametrize("norm", [1, 2, 3.0])
def test_lp_pool(nd: int, norm: float) -> None:
    x = randn(2, 3, *SIZES[nd]).abs()
    check(LP[nd], x, norm, 3)
    check(LP[nd], x, norm, 2, stride=3, ceil_mode=True)
    if nd == 2:
        check(F.lp_pool2d, x, norm, (3, 2), stride=(1, 2))


@pytest.mark.parametrize("nd", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 17])
def test_adaptive_pool(nd: int, size: int) -> None:
    x = randn(2, 3, *SIZES[nd])
    check(ADAPTIVE_AVG[nd], x, size)
    check(ADAPTIVE_MAX[nd], x, size)
    check(ADAPTIVE_MAX[nd], x[0], size, return_indices=True)


def test_adaptive_pool_per_axis() -> None:
    x = randn(2, 3, 9, 11)
    for size in ((3, None), (None, 4), (2, 5), (None, None), (1, 1), (1, 3)):
        check(F.adaptive_avg_pool2d, x, size)
        check(F.adaptive_max_pool2d, x, size)
    check(F.adaptive_max_pool2d, x, (None, 4), return_indices=True)
    check(F.adaptive_avg_pool3d, x, (None, 2, 3))


@pytest.mark.parametrize("nd", [1, 2, 3])
def test_max_unpool(nd: int) -> None:
    x = randn(2, 3, *SIZES[nd])
    for options in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}):
        y, indices = MAX[nd](x, return_indices=True, **options)
        check(UNPOOL[nd], y, indices, output_size=SIZES[nd], **options)
        check(UNPOOL[nd], y, indices, output_size=x.shape, **options)
    y, indices = MAX[nd](x, 2, return_indices=True)
    check(UNPOOL[nd], y[0], indices[0] % 8, 2)


def test_unpool_keeps_the_last_of_repeated_indices() -> None:
    y = randn(1, 2, 2, 2)
    indices = torch.tensor([[[3, 3], [0, 3]], [[15, 1], [1, 1]]])[None]
    check(F.max_unpool2d, y, indices, 2)


@pytest.mark.parametrize("nd", [1, 2, 3])
def test_ties_infinities_and_nan(nd: int) -> None:
    x = torch.zeros(1, 2, *SIZES[nd])
    x[0, 0] = -torch.inf
    x.view(-1)[-3:] = torch.nan
    x.view(-1)[7] = torch.inf
    for options in ({"kernel_size": 2}, {"kernel_size": 3, "padding": 1}):
        check(MAX[nd], x, **options)
        check(AVG[nd], x.nan_to_num(posinf=1, neginf=-2), **options)
        check(AVG[nd], x.clamp(-1), **options)
    check(ADAPTIVE_MAX[nd], x, 2)


def test_indices_of_ties_and_nan() -> None:
    """The first of equal maxima, the last NaN."""
    x = torch.zeros(1, 1, 6, 6)
    x[0, 0, :2, :2] = torch.nan
    x[0, 0, 3:, 3:] = -torch.inf
    for options in ((2,), (3, 2, 1), (3, 1, 1, 2)):
        check(F.max_pool2d, x, *options, return_indices=True)
    check(F.adaptive_max_pool2d, torch.zeros(1, 2, 7, 5), 3, return_indices=True)


@pytest.mark.parametrize("nd", [1, 2, 3])
def test_empty_batch(nd: int) -> None:
    x = randn(0, 3, *SIZES[nd])
    check(MAX[nd], x, 2)
    check(MAX[nd], x, 3, padding=1, return_indices=True)
    check(AVG[nd], x, 2)
    check(ADAPTIVE_AVG[nd], x, 1)
    check(ADAPTIVE_AVG[nd], x, 3)


def test_integers() -> None:
    x = torch.arange(-40, 41).reshape(1, 1, 9, 9)
    check(F.max_pool2d, x, 2)
    check(F.max_pool2d, x, 3, 2, return_indices=True)
    with pytest.raises(Refused, match="int64"):
        check(F.avg_pool2d, x, 2)
    with pytest.raises(Refused, match="int64"):
        check(F.max_pool2d, x, 2, padding=1)


def test_double_and_memory_layout() -> None:
    x = randn(2, 3, 9, 11)
    check(F.max_pool2d, x.double(), 3, 2, 1)
    check(F.avg_pool2d, x.double(), 3, 2, 1)
    check(F.avg_pool2d, x.permute(0, 1, 3, 2), 3, 2, 1)
    check(F.adaptive_avg_pool2d, x.permute(0, 3, 2, 1), 2)


def test_text() -> None:
    x = randn(1, 4, 8, 8)
    text = check(F.max_pool2d, x, (2, 2), (2, 2), (0, 0))
    assert text == "max_pool2d(v0, 2)"
    text = check(F.avg_pool2d, x, 3, 2, 0, count_include_pad=False)
    assert text == "avg_pool2d(v0, 3, stride=2)"
    text = check(F.adaptive_avg_pool2d, x, (1, 1))
    assert text == "v0.mean(axis=(-2, -1), keepdims=True)"


@pytest.mark.parametrize("nd", [2, 3])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("last", [1, 4])
def test_fractional_max_pool(nd: int, batched: bool, last: int) -> None:
    """Given torch's samples: the same maxima and, of ties too, the same places."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, *(9, 8, 7)[:nd]).mul(2).round()
    samples = torch.rand(2, 3, nd)
    x, samples = (x, samples) if batched else (x[0], samples[:1])
    kernel, size = (2, 3, 1)[:nd], (5, last, 3)[:nd]
    pool = getattr(F, f"fractional_max_pool{nd}d")
    expected = pool(x, kernel, size, return_indices=True, _random_samples=samples)
    got = fractional_max_pool(x.numpy(), samples.numpy(), kernel, size)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy(), strict=True)


def test_fractional_windows_must_fit() -> None:
    x, samples = np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 2))
    with pytest.raises(ValueError, match="3 windows of 3 don't fit in 4"):
        fractional_max_pool(x, samples, (3, 3), (3, 3))


@pytest.mark.parametrize("options", [{"output_size": 4}, {"output_ratio": (0.5, 0.6)}])
def test_fractional_windows_are_drawn_in_a_step_before(options: dict[str, Any]) -> None:
    model = nn.FractionalMaxPool2d(2, **options)
    generated = luxgen.transpile(model, randn(2, 3, 9, 11))
    assert generated.report.passed
    module = generated.load()
    ps, st = module.setup(0)
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 11)).astype(np.float32)
    first, after = module.apply(x, ps, st)
    again, _ = module.apply(x, ps, st)
    other, _ = module.apply(x, ps, after)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
