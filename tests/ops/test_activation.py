"""Activations and softmax against torch: values, edges, dtypes, shapes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from luxgen.ops.activation import gelu
from luxgen.targets.numpy.rules.op import Refused
from tests.ops.opcheck import check, lowered

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

ACTIVATIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = {
    "relu": (F.relu, (), {}),
    "torch.relu": (torch.relu, (), {}),
    "relu6": (F.relu6, (), {}),
    "leaky_relu": (F.leaky_relu, (), {}),
    "leaky_relu 0.2": (F.leaky_relu, (0.2,), {}),
    "leaky_relu 0": (F.leaky_relu, (0.0,), {}),
    "leaky_relu 1.5": (F.leaky_relu, (1.5,), {}),
    "leaky_relu -0.5": (F.leaky_relu, (-0.5,), {}),
    "elu": (F.elu, (), {}),
    "elu 0.3": (F.elu, (0.3,), {}),
    "celu": (F.celu, (), {}),
    "celu 2.5": (F.celu, (2.5,), {}),
    "selu": (F.selu, (), {}),
    "gelu": (F.gelu, (), {}),
    "gelu tanh": (F.gelu, (), {"approximate": "tanh"}),
    "sigmoid": (torch.sigmoid, (), {}),
    "F.sigmoid": (F.sigmoid, (), {}),
    "expit": (torch.special.expit, (), {}),
    "logsigmoid": (F.logsigmoid, (), {}),
    "silu": (F.silu, (), {}),
    "mish": (F.mish, (), {}),
    "softplus": (F.softplus, (), {}),
    "softplus 2 4": (F.softplus, (), {"beta": 2, "threshold": 4}),
    "softplus 0.5 1.5": (F.softplus, (0.5, 1.5), {}),
    "softsign": (F.softsign, (), {}),
    "tanh": (torch.tanh, (), {}),
    "tanhshrink": (F.tanhshrink, (), {}),
    "hardtanh": (F.hardtanh, (), {}),
    "hardtanh -2 0.5": (F.hardtanh, (-2.0, 0.5), {}),
    "hardsigmoid": (F.hardsigmoid, (), {}),
    "hardswish": (F.hardswish, (), {}),
    "hardshrink": (F.hardshrink, (), {}),
    "hardshrink 0": (F.hardshrink, (0.0,), {}),
    "softshrink": (F.softshrink, (), {}),
    "softshrink 1.25": (F.softshrink, (1.25,), {}),
    "threshold": (F.threshold, (0.1, 20.0), {}),
    "rrelu": (F.rrelu, (), {}),
    "rrelu 0.1 0.9": (F.rrelu, (0.1, 0.9), {}),
}
# Infinities at which torch gives NaN only by a warning's 0 * inf are left to `finite`.
NAN_AT_INFINITY = {"silu", "mish", "gelu", "gelu tanh", "tanhshrink", "hardswish"}
NAN_AT_INFINITY |= {"leaky_relu 0", "softsign"}
activations = pytest.mark.parametrize("name", ACTIVATIONS)


def run(name: str, x: torch.Tensor) -> str:
    function, args, kwargs = ACTIVATIONS[name]
    return check(function, x, *args, **kwargs)


def finite(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Random, a dense grid over all cut-overs, and magnitudes that overflow exp."""
    generator = torch.Generator().manual_seed(0)
    return torch.cat([
        torch.randn(500, generator=generator, dtype=dtype) * 3,
        torch.linspace(-25, 25, 2001, dtype=dtype),
        torch.tensor([0.0, -0.0, 1e-20, -1e-20, 0.5, -0.5, 89, -89, 800], dtype=dtype),
        torch.tensor([-800, 1e4, -1e4, 1e30, -1e30], dtype=dtype),
    ])  # fmt: skip


@activations
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values(name: str, dtype: torch.dtype) -> None:
    x = finite(dtype)
    if name.startswith("gelu tanh"):  # x**3 overflows in torch too
        x = x[x.abs() < 1e10]
    run(name, x)
    run(name, x[x.abs() < 3])  # a scale at which small errors show


@activations
def test_nan_and_infinity(name: str) -> None:
    run(name, torch.tensor([float("nan"), 1.0, -1.0]))
    if name not in NAN_AT_INFINITY:
        run(name, torch.tensor([float("inf"), -float("inf"), 2.0]))


@activations
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3, 4), (1,)])
def test_shapes(name: str, shape: tuple[int, ...]) -> None:
    x = torch.linspace(-1.7, 2.9, 24)[: int(np.prod(shape))].reshape(shape)
    run(name, x)
    if len(shape) == 3:
        run(name, x.transpose(0, 2)[:, ::2])


@pytest.mark.parametrize("function", [torch.sigmoid, torch.tanh, torch.erf])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.bool])
def test_integers_compute_in_float32(
    function: Callable[..., Any], dtype: torch.dtype
) -> None:
    check(function, torch.tensor([-3, 0, 1, 2]).to(dtype))
    check(function, torch.tensor(1).to(dtype))


def test_relu_keeps_integers() -> None:
    check(F.relu, torch.tensor([-3, 0, 5]))
    check(F.relu, torch.tensor([-3, 0, 5], dtype=torch.int8))
    check(F.relu6, torch.tensor([-3, 0, 9], dtype=torch.int32))
    check(F.hardtanh, torch.tensor([-3, 0, 9]), -1.5, 2.5)


def test_gelu_of_large_negative_is_zero() -> None:
    x = np.array([-1e3, -50.0, -7.0], np.float32)
    np.testing.assert_array_equal(gelu(x), np.zeros(3, np.float32))


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 5), (7,)])
def test_prelu(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    check(F.prelu, x, torch.tensor([0.3]))
    if len(shape) > 1:
        check(F.prelu, x, torch.tensor([0.3, -0.2, 1.4]))


def test_prelu_of_a_scalar() -> None:
    check(F.prelu, torch.tensor(-2.0), torch.tensor([0.3]))


def test_elu_with_scales_of_aten_is_refused() -> None:
    check(torch.ops.aten.elu, torch.randn(5))
    with pytest.raises(Refused, match="input_scale"):
        lowered(torch.ops.aten.elu, (torch.randn(5), 1.0, 2.0), {})


def test_rrelu_in_training_is_refused() -> None:
    with pytest.raises(Refused, match="training"):
        lowered(F.rrelu, (torch.randn(5),), {"training": True})


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -3])
def test_glu_halves_the_axis(dim: int) -> None:
    check(F.glu, torch.randn(4, 6, 8), dim)


SOFTMAXES = [F.softmax, torch.softmax, torch.Tensor.softmax, F.softmin, F.log_softmax]
SOFTMAXES += [torch.log_softmax, torch.special.softmax, torch.special.log_softmax]


@pytest.mark.parametrize("function", SOFTMAXES)
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax(function: Callable[..., Any], dim: int) -> None:
    check(function, torch.randn(5, 6, 7) * 10, dim)
    check(function, torch.randn(5, 6, 7).double() * 10, dim)
    check(function, torch.tensor([[1e4, -1e4], [1e38, -1e38], [88.0, 89.0]]), dim)
    if function is not F.softmin and dim != 0:
        check(function, torch.tensor([[[0.0, -float("inf")], [1.0, 2.0]]]), dim)
    with np.errstate(divide="ignore"):  # log of an empty sum
        check(function, torch.randn(3, 0, 2), dim)


@pytest.mark.parametrize("function", SOFTMAXES)
def test_softmax_of_a_scalar(function: Callable[..., Any]) -> None:
    check(function, torch.tensor(3.0), 0)
    check(function, torch.tensor(3.0), -1)


@pytest.mark.parametrize("ndim", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("function", [F.softmax, F.softmin, F.log_softmax])
@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
def test_softmax_chooses_torchs_dim(function: Callable[..., Any], ndim: int) -> None:
    check(function, torch.randn((2, 3, 4, 5)[:ndim]))


@pytest.mark.parametrize("function", [F.softmax, torch.log_softmax])
def test_softmax_in_a_dtype(function: Callable[..., Any]) -> None:
    in_double = functools.partial(function, dim=1, dtype=torch.float64)
    text, scope = lowered(function, (torch.randn(3, 4),), in_double.keywords)
    assert "np.float64" in text
    check(function, torch.randn(3, 4).double(), 1, dtype=torch.float32)
    check(function, torch.arange(6).reshape(2, 3), 1, dtype=torch.float32)


def test_softmax_of_a_row_masked_out_is_nan() -> None:
    with np.errstate(invalid="ignore"):
        check(F.softmax, torch.full((2, 3), -float("inf")), -1)


@pytest.mark.parametrize("dim", [0, -1, (0, 2), (1,)])
@pytest.mark.parametrize("keepdim", [False, True])
def test_logsumexp(dim: Any, keepdim: bool) -> None:
    check(torch.logsumexp, torch.randn(3, 4, 5) * 50, dim, keepdim)
    check(torch.special.logsumexp, torch.randn(3, 4, 5), dim, keepdim)
    inf = float("inf")
    x = torch.tensor([[[-inf, -inf], [inf, 1.0]], [[-inf, -inf], [-inf, 2.0]]])
    check(torch.logsumexp, x, dim, keepdim)


def test_logsumexp_of_nothing_scalars_and_integers() -> None:
    check(torch.logsumexp, torch.randn(3, 0), 1)
    check(torch.logsumexp, torch.tensor(2.5), 0, True)
    check(torch.logsumexp, torch.randn(4), 0)
    check(torch.logsumexp, torch.tensor([[1, 2], [3, 4]]), 1)
