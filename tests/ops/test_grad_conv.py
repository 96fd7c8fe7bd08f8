"""VJP rows of convolutions against torch.autograd."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import luxgen
from tests.ops.gradcheck import check_vjp, t

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


FORMS = [
    {},
    {"stride": 2},
    {"padding": 1},
    {"stride": 2, "padding": 1},
    {"stride": 3, "padding": 2},
    {"dilation": 2},
    {"stride": 2, "padding": 3, "dilation": 2},
    {"padding": 5},  # wider than the kernel: windows of zeros alone
    {"groups": 2},
    {"groups": 2, "stride": 2, "padding": 1},
    {"groups": 4, "padding": 2, "dilation": 2},
    {"groups": 2, "padding": 5},
    {"padding": "same"},
    {"padding": "same", "dilation": 2},
    {"padding": "same", "groups": 2},
    {"padding": "valid"},
]


@pytest.mark.parametrize("options", FORMS, ids=str)
@pytest.mark.parametrize("nd", [1, 2, 3])
def test_conv(nd: int, options: dict[str, object]) -> None:
    function = (F.conv1d, F.conv2d, F.conv3d)[nd - 1]
    size, kernel = (6, 5, 7)[-nd:], (3, 2, 4)[:nd]
    channels = 4 // int(options.get("groups", 1))  # type: ignore[call-overload]
    x, weight = t(2, 4, *size), t(8, channels, *kernel)
    check_vjp(function, x, weight, t(8), **options)


def test_conv_by_axis() -> None:
    x, weight = t(2, 3, 12, 9), t(4, 3, 3, 2)
    check_vjp(F.conv2d, x, weight, stride=(2, 1), padding=(0, 1), dilation=(1, 3))


def test_conv_of_one_sample() -> None:
    check_vjp(F.conv2d, t(3, 8, 8), t(4, 3, 3, 3), t(4), padding=1)
    check_vjp(F.conv_transpose1d, t(3, 8), t(3, 2, 3), t(2), stride=2)


def test_conv_in_many_parts() -> None:
    """Chunks of samples, and of the rows of one sample."""
    check_vjp(F.conv2d, t(9, 16, 20, 20), t(4, 16, 5, 5), padding=2)
    check_vjp(F.conv2d, t(2, 8, 64, 64), t(4, 8, 7, 7), stride=1)
    check_vjp(F.conv2d, t(2, 8, 65, 64), t(4, 8, 7, 7), stride=2, padding=3)


def test_conv_of_an_empty_batch() -> None:
    check_vjp(F.conv2d, t(0, 3, 8, 8), t(4, 3, 3, 3), t(4), stride=2)


def test_complex_conv() -> None:
    x, weight = t(2, 3, 8, dtype=torch.complex64), t(4, 3, 3, dtype=torch.complex64)
    check_vjp(F.conv1d, x, weight, stride=2)
    check_vjp(F.conv_transpose1d, x, t(3, 2, 3, dtype=torch.complex64), stride=2)


TRANSPOSED = [
    {},
    {"stride": 2},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"stride": 3, "output_padding": 2, "dilation": 2},
    {"output_padding": 1, "dilation": 2},  # a window more than the input has
    {"padding": 3, "groups": 2},
    {"stride": 2, "padding": 1, "groups": 4},
]


@pytest.mark.parametrize("options", TRANSPOSED, ids=str)
@pytest.mark.parametrize("nd", [1, 2, 3])
def test_conv_transpose(nd: int, options: dict[str, int]) -> None:
    names = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
    x, weight = t(2, 4, *(6, 5, 7)[:nd]), t(4, 3, *(4, 3, 5)[:nd])
    bias = t(3 * options.get("groups", 1))
    check_vjp(names[nd - 1], x, weight, bias, **options)


@pytest.mark.parametrize("transposed", [False, True])
def test_aten_convolution(transposed: bool) -> None:
    x, weight, bias = t(2, 3, 7, 6), t(3, 3, 3, 3), t(3)
    window = [2, 2], [1, 1], [1, 1], transposed, [0, 0], 1
    check_vjp(torch.ops.aten.convolution.default, x, weight, bias, *window)
    flags = False, False, False, False
    check_vjp(torch._convolution, x, weight, bias, *window, *flags)


def test_conv_tbc() -> None:
    check_vjp(torch.conv_tbc, t(9, 2, 3), t(3, 3, 4), t(4), 1)


class Layer(nn.Module):
    def __init__(self, channels: int, outs: int, kernel: int, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, outs, kernel, bias=False, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.conv(x))


class Stack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Layer(3, 8, 3, stride=2, padding=1),
            Layer(8, 8, 3, padding=1, groups=8),
            Layer(8, 16, 1),
            Layer(16, 16, 3, stride=2, padding=1, groups=16),
            Layer(16, 12, 1, groups=2),
            Layer(12, 12, 3, padding=2, dilation=2),
            Layer(12, 4, 1, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layers(x)
        return y


def test_one_function_for_all_kernels_and_windows() -> None:
    """Layers that share a function differ in all that a convolution takes."""
    made = luxgen.transpile(Stack(), (torch.randn(3, 3, 16, 16),), grad=True)
    assert any(row.module == "(gradients)" and row.passed for row in made.report.rows)
