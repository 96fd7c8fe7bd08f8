"""VJP rows of activations and softmax against torch.autograd."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tests.ops.gradcheck import check_layer, check_vjp

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
SAFE = torch.ops.aten._safe_softmax.default


def points(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Both tails, and every point where one of the activations has a kink."""
    kinks = [-3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0, 20.0, 25.0]
    tails = [-200.0, -90.0, -20.0, 90.0, 200.0]
    x = torch.cat((torch.tensor(kinks + tails), 3 * torch.randn(40)))
    return x.to(dtype).requires_grad_()


PLAIN = (
    F.relu, F.relu6, F.leaky_relu, F.elu, F.celu, F.selu, F.gelu, F.sigmoid,
    F.logsigmoid, F.silu, F.mish, F.softplus, F.softsign, F.tanhshrink, F.hardtanh,
    F.hardsigmoid, F.hardswish, F.hardshrink, F.softshrink, F.rrelu, torch.sigmoid,
)  # fmt: skip


@pytest.mark.parametrize("func", PLAIN)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_plain(func: Callable[..., Any], dtype: torch.dtype) -> None:
    if (func, dtype) != (F.hardsigmoid, torch.float64):  # torch's 1 / 6 is float32
        check_vjp(func, points(dtype))
        check_vjp(func, torch.randn((), dtype=dtype, requires_grad=True))
    check_vjp(func, torch.randn(2, 3, 0, dtype=dtype, requires_grad=True))


@pytest.mark.parametrize(
    ("func", "options"),
    [
        (F.leaky_relu, {"negative_slope": 0.3}),
        (F.leaky_relu, {"negative_slope": -2.0}),
        (F.elu, {"alpha": 0.5}),
        (F.celu, {"alpha": 2.5}),
        (F.gelu, {"approximate": "tanh"}),
        (F.softplus, {"beta": 2.0}),
        (F.softplus, {"beta": 0.5, "threshold": 1.5}),
        (F.hardtanh, {"min_val": -3.0, "max_val": 0.5}),
        (F.hardshrink, {"lambd": 1.0}),
        (F.softshrink, {"lambd": 1.0}),
        (F.threshold, {"threshold": 0.5, "value": 7.0}),
        (F.rrelu, {"lower": 0.1, "upper": 0.5}),
    ],
)
def test_options(func: Callable[..., Any], options: dict[str, Any]) -> None:
    check_vjp(func, points(), **options)


def test_a_dead_relu_stops_an_infinite_cotangent() -> None:
    """sqrt(relu(x)) below 0: inf comes back, and torch gives 0."""
    text = check_vjp(F.relu, points())
    assert text.splitlines()[-1].startswith("np.where(")


@pytest.mark.parametrize("shape", [(6,), (4, 3), (2, 3, 5), (2, 3, 4, 5)])
def test_prelu(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, requires_grad=True)
    check_vjp(F.prelu, x, torch.tensor([0.25], requires_grad=True))
    check_vjp(F.prelu, x.detach(), torch.tensor([0.25], requires_grad=True))
    if len(shape) > 1:
        check_vjp(F.prelu, x, torch.randn(3, requires_grad=True))


def test_prelu_of_a_number() -> None:
    x = torch.tensor(-2.0, requires_grad=True)
    check_vjp(F.prelu, x, torch.tensor([0.25], requires_grad=True))


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_glu(dim: int) -> None:
    check_vjp(F.glu, torch.randn(4, 6, 2, requires_grad=True), dim)


@pytest.mark.parametrize("func", [F.softmax, F.softmin, F.log_softmax])
def test_softmax(func: Callable[..., Any]) -> None:
    for shape, dim in (((4, 5), 1), ((4, 5), 0), ((2, 3, 4), -1), ((), 0), ((0, 3), 1)):
        check_vjp(func, torch.randn(shape, requires_grad=True), dim)
    x = 50 * torch.randn(3, 7)
    check_vjp(func, x.requires_grad_(), -1)
    check_vjp(func, torch.randn(3, 4, requires_grad=True), 1, dtype=torch.float64)


@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
@pytest.mark.parametrize("func", [F.softmax, F.softmin, F.log_softmax])
def test_softmax_chooses_its_dim(func: Callable[..., Any]) -> None:
    for shape in ((4,), (4, 5), (2, 3, 4), (2, 3, 2, 4)):
        check_vjp(func, torch.randn(shape, requires_grad=True))


@pytest.mark.parametrize("func", [torch.sigmoid, F.softsign, F.tanhshrink])
def test_complex(func: Callable[..., Any]) -> None:
    check_vjp(func, torch.randn(3, 4, dtype=torch.complex64, requires_grad=True))


def test_texts() -> None:
    x = torch.randn(3, 4, requires_grad=True)
    assert check_vjp(F.elu, x).splitlines()[1:] == [
        "np.minimum(v0, 0)",
        "np.exp(v0)",
        "v0 * v1",
    ]
    assert check_vjp(F.softplus, x).splitlines()[1:] == ["sigmoid(v0)", "v0 * v1"]
    assert check_vjp(F.softmax, x, -1).splitlines()[1:] == [
        "v0 * v1",
        "v0.sum(axis=-1, keepdims=True)",
        "v0 - v1",
        "v0 * v1",
    ]


def test_safe_softmax() -> None:
    """Zeros where all is -inf."""
    x = torch.randn(4, 5)
    x[1], x[2, 3] = -math.inf, -math.inf
    x.requires_grad_()
    args: dict[str, Any] = {"input": x, "dim": -1}
    check_layer("_safe_softmax", args, lambda input, dim: SAFE(input, dim))
    check_layer("_safe_softmax", args | {"dim": 0}, lambda input, dim: SAFE(input, dim))
