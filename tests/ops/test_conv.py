"""Convolutions and their transposes against torch."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from luxgen.ops.conv import conv1d, conv2d
from tests.ops.opcheck import check

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
SIZES = {1: (13,), 2: (9, 11), 3: (5, 6, 7)}
KERNELS = {1: (3,), 2: (3, 2), 3: (2, 3, 3)}


def randn(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape) + len(shape))
    return torch.randn(shape, generator=generator)


@pytest.mark.parametrize("nd", [1, 2, 3])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"padding": 1},
        {"dilation": 2},
        {"stride": 2, "padding": 2, "dilation": 2},
        {"padding": "valid"},
        {"padding": "same"},
        {"padding": "same", "dilation": 2},
    ],
    ids=str,
)
def test_conv(nd: int, bias: bool, options: dict[str, Any]) -> None:
    x, weight = randn(2, 4, *SIZES[nd]), randn(6, 4, *KERNELS[nd])
    check(CONV[nd], x, weight, randn(6) if bias else None, **options)


@pytest.mark.parametrize("nd", [1, 2, 3])
@pytest.mark.parametrize("groups, outs", [(2, 6), (4, 4), (4, 12)])
@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": "same"}],
    ids=str,
)
def test_grouped_conv(nd: int, groups: int, outs: int, options: dict[str, Any]) -> None:
    x, weight = randn(3, 4, *SIZES[nd]), randn(outs, 4 // groups, *KERNELS[nd])
    check(CONV[nd], x, weight, randn(outs), groups=groups, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"stride": (2, 1)},
        {"padding": (0, 2)},
        {"dilation": (1, 3)},
        {"stride": [3, 2], "padding": [1, 0], "dilation": [2, 1]},
    ],
    ids=str,
)
@pytest.mark.parametrize("groups", [1, 2])
def test_one_option_per_axis(options: dict[str, Any], groups: int) -> None:
    x, weight = randn(2, 4, 9, 11), randn(4, 4 // groups, 3, 2)
    check(F.conv2d, x, weight, randn(4), groups=groups, **options)


@pytest.mark.parametrize("nd", [1, 2, 3])
def test_unbatched_and_empty_batch(nd: int) -> None:
    weight, bias = randn(6, 4, *KERNELS[nd]), randn(6)
    check(CONV[nd], randn(4, *SIZES[nd]), weight, bias, padding=1)
    check(CONV[nd], randn(4, *SIZES[nd]), weight, bias, padding="same")
    check(CONV[nd], randn(4, *SIZES[nd]), weight[:, :2], bias, groups=2)
    check(CONV[nd], randn(0, 4, *SIZES[nd]), weight, bias)
    check(CONV[nd], randn(0, 4, *SIZES[nd]), weight[:4, :1], None, groups=4)
    check(TRANSPOSE[nd], randn(6, *SIZES[nd]), weight, stride=2)
    check(TRANSPOSE[nd], randn(0, 6, *SIZES[nd]), weight)


@pytest.mark.parametrize("nd", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"dilation": 2, "padding": 2},
        {"stride": 3, "dilation": 2, "output_padding": 2},
    ],
    ids=str,
)
def test_conv_transpose(nd: int, groups: int, options: dict[str, Any]) -> None:
    x, weight = randn(2, 4, *SIZES[nd]), randn(4, 3, *KERNELS[nd])
    check(TRANSPOSE[nd], x, weight, randn(3 * groups), groups=groups, **options)


def test_conv_transpose_per_axis() -> None:
    check(
        F.conv_transpose2d,
        randn(2, 3, 5, 6),
        randn(3, 2, 4, 2),
        stride=(2, 3),
        padding=(1, 0),
        output_padding=(0, 2),
        dilation=(1, 2),
    )


def test_aten_forms() -> None:
    x, weight, bias = randn(2, 4, 7, 8), randn(4, 4, 3, 3), randn(4)
    window = (2, 1), (1, 0), (1, 1)
    check(torch.convolution, x, weight, bias, *window, False, (0, 0), 1)
    check(torch.convolution, x, weight, None, *window, True, (1, 0), 1)
    check(torch.convolution, x, weight[:, :2], bias, *window, False, (0, 0), 2)
    flags = False, False, False, False
    check(torch._convolution, x, weight, bias, *window, False, (0, 0), 1, *flags)
    check(torch.conv_tbc, randn(9, 2, 4), randn(3, 4, 5), randn(5), 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64, torch.int64])
def test_dtypes(dtype: torch.dtype) -> None:
    x, weight = (4 * randn(2, 4, 7, 8)).to(dtype), (4 * randn(6, 4, 3, 3)).to(dtype)
    check(F.conv2d, x, weight, padding=1)
    check(F.conv_transpose2d, x, weight.swapaxes(0, 1), stride=2)


def test_memory_layouts() -> None:
    x, weight = randn(2, 4, 8, 8), randn(4, 4, 3, 3)
    check(F.conv2d, x.permute(0, 1, 3, 2), weight, stride=2)
    check(F.conv2d, x[:, :, ::2, 1:], weight)
    check(F.conv2d, x[:, :, ::2, 1:], weight[:, :1], groups=4)
    check(F.conv_transpose2d, x.permute(0, 3, 1, 2)[:, ::2], weight.mT)


def test_an_infinity_stays_in_its_windows() -> None:
    x = randn(1, 4, 9, 9)
    x[0, 1, 4, 4] = torch.inf
    for groups in (1, 4):
        check(F.conv2d, x, randn(4, 4 // groups, 3, 3).abs(), groups=groups)


def test_chunks_cover_every_row() -> None:
    """Larger than the scratch that the windows are copied into."""
    x, weight = randn(2, 24, 83, 79), randn(5, 24, 3, 3)
    check(F.conv2d, x, weight, stride=(2, 1))
    check(F.conv1d, randn(3, 20, 9001), randn(4, 20, 5), dilation=3)
    check(F.conv3d, randn(1, 6, 9, 31, 33), randn(3, 6, 3, 5, 5), padding=2)
    depthwise = randn(24, 1, 5, 3)
    check(F.conv2d, x, depthwise, stride=2, padding=1, groups=24)
    check(F.conv_transpose2d, randn(5, 8, 40, 41), randn(8, 6, 5, 5), stride=2)


def test_memory_is_bounded() -> None:
    x = np.ones((1, 32, 128, 128), np.float32)
    weight = np.ones((32, 32, 3, 3), np.float32)
    tracemalloc.start()
    y = conv2d(x, weight, padding=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * (x.nbytes + y.nbytes)


def test_one_dim_takes_a_tuple_as_well() -> None:
    """Options that differ between calls of a function arrive as torch keeps them."""
    x, weight = randn(2, 4, 13).numpy(), randn(6, 4, 3).numpy()
    options = {"stride": 2, "padding": 1, "dilation": 2}
    tuples = {name: (value,) for name, value in options.items()}
    expected = conv1d(x, weight, **options)
    np.testing.assert_array_equal(conv1d(x, weight, **tuples), expected)


def test_text() -> None:
    x, weight = randn(1, 4, 8, 8), randn(4, 4, 3, 3)
    text = check(F.conv2d, x, weight, None, (2, 2), (1, 1))
    assert text == "conv2d(v0, v1, stride=2, padding=1)"
    text = check(F.conv2d, x, weight[:, :1], None, (1, 1), (1, 0), 1, 4)
    assert text == "grouped_conv(v0, v1, padding=(1, 0))"
