"""VJP rows of elementwise arithmetic against torch.autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from luxgen.frontends.bind import bind
from luxgen.passes.vjp import vjps
from tests.ops.gradcheck import check_vjp, of, t
from tests.semantics.gradients import agree

T = torch.Tensor
NAN, INF = float("nan"), float("inf")


def between(low: float, high: float, *shape: int) -> T:
    return (low + (high - low) * torch.rand(shape)).requires_grad_()


ANYWHERE = (
    "exp", "exp2", "expm1", "square", "sin", "cos", "tan", "sinh", "cosh", "tanh",
    "asinh", "atan", "neg", "abs", "reciprocal", "sinc", "frac", "deg2rad", "rad2deg",
    "positive", "clone", "floor", "ceil", "trunc", "round", "sign", "nan_to_num",
)  # fmt: skip
POSITIVE = ("log", "log2", "log10", "log1p", "sqrt", "rsqrt")
INSIDE = ("asin", "acos", "atanh")
OF_TWO = (
    "add", "sub", "rsub", "mul", "div", "maximum", "minimum", "fmax", "fmin", "atan2",
    "hypot", "copysign", "logaddexp", "logaddexp2", "fmod", "remainder",
)  # fmt: skip


@pytest.mark.parametrize("name", ANYWHERE)
def test_of_one(name: str) -> None:
    func = getattr(torch, name)
    check_vjp(func, t(3, 4))
    check_vjp(func, t(3, 4, dtype=torch.float64))
    check_vjp(func, t())
    check_vjp(func, t(2, 0))


@pytest.mark.parametrize("name", POSITIVE + INSIDE + ("acosh",))
def test_of_one_in_its_domain(name: str) -> None:
    low, high = (0.1, 0.9) if name in INSIDE else (1.1, 9.0)
    check_vjp(getattr(torch, name), between(low, high, 20))
    check_vjp(getattr(torch, name), between(low, high))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "name", ["sqrt", "rsqrt", "reciprocal", "log", "abs", "sinc", "tanh", "nan_to_num"]
)
def test_at_zero_and_infinity(name: str) -> None:
    check_vjp(getattr(torch, name), of(0.0, INF, 1.0))


COMPLEX = (
    "exp", "expm1", "square", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asinh",
    "acosh", "atanh", "asin", "acos", "atan", "neg", "abs", "reciprocal", "sinc", "log",
    "log2", "log10", "log1p", "sqrt", "rsqrt",
)  # fmt: skip


@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name: str) -> None:
    check_vjp(getattr(torch, name), t(4, 3, dtype=torch.complex64))


@pytest.mark.parametrize("name", OF_TWO)
def test_of_two(name: str) -> None:
    func = getattr(torch, name)
    check_vjp(func, t(3, 4), t(3, 4))
    check_vjp(func, t(3, 1), t(2, 1, 4))
    check_vjp(func, t(3), t())
    check_vjp(func, t(), t())


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow"])
def test_complex_of_two(name: str) -> None:
    func = getattr(torch, name)
    check_vjp(func, t(3, dtype=torch.complex64), t(2, 3, dtype=torch.complex64))
    check_vjp(func, t(3, dtype=torch.complex64), between(1, 2, 3))
    check_vjp(func, between(1, 2, 3), t(3, dtype=torch.complex64))
    check_vjp(func, t(3), 2j)


@pytest.mark.parametrize("name", ["add", "mul", "div", "atan2", "fmod"])
def test_integers_get_none(name: str) -> None:
    integers = torch.tensor([1, 2, 3])
    check_vjp(getattr(torch, name), integers, t(3))
    check_vjp(getattr(torch, name), t(3), integers)


def test_factors_and_numbers() -> None:
    check_vjp(torch.add, t(3, 4), t(4), alpha=2)
    check_vjp(torch.sub, t(3), t(2, 3), alpha=-0.5)
    check_vjp(torch.rsub, t(3), t(3), alpha=3)
    check_vjp(torch.mul, t(3), 2.5)
    check_vjp(torch.div, t(3), 4)
    check_vjp(T.__rtruediv__, between(1, 2, 3), 2)
    check_vjp(T.__rsub__, t(3), 2)
    check_vjp(torch.mul, t(3), t(2, 3, dtype=torch.float64))
    check_vjp(torch.mul, t(3), torch.tensor([True, False, True]))


@pytest.mark.parametrize("mode", ["floor", "trunc"])
def test_division_that_rounds_is_flat(mode: str) -> None:
    check_vjp(torch.div, t(3), t(3), rounding_mode=mode)


@pytest.mark.parametrize("name", ["maximum", "minimum", "fmax", "fmin"])
def test_ties_and_nan(name: str) -> None:
    x, y = of(1.0, 2.0, NAN, 3.0, -INF, INF), of(1.0, 3.0, 1.0, NAN, -INF, -INF)
    check_vjp(getattr(torch, name), x, y)
    check_vjp(getattr(torch, name), y, x)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 0.5, -1, 2.5, -0.5])
def test_powers(exponent: float) -> None:
    assert check_vjp(torch.pow, between(0.5, 2, 5), exponent)
    if exponent in (0, 1, 2, 3, 4):
        check_vjp(torch.pow, of(0.0, -1.5, 2.0), exponent)
    check_vjp(torch.float_power, between(0.5, 2, 5), exponent)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_powers_of_tensors() -> None:
    zeros, exponents = of(0.0, 0.0, 0.0, 2.0, 1.0), of(0.0, 1.0, 2.0, 0.0, 3.0)
    check_vjp(torch.pow, zeros, exponents)
    check_vjp(torch.pow, between(0.5, 2, 3, 1), t(4))
    check_vjp(torch.float_power, between(0.5, 2, 3), t(3))
    for base in (0, 2, 0.5):
        check_vjp(torch.pow, base, exponents)
    check_vjp(torch.pow, torch.tensor([1, 2, 3]), t(3))
    check_vjp(T.__rpow__, t(3), 2)


def test_clamp() -> None:
    edges = of(-1.0, -0.5, 0.0, 0.5, 2.0, NAN)
    check_vjp(torch.clamp, edges, -0.5, 0.5)
    check_vjp(torch.clamp, edges, min=0)
    check_vjp(torch.clamp, edges, max=0.5)
    check_vjp(torch.clamp_min, edges, 0.5)
    check_vjp(torch.clamp_max, edges, t(6))
    check_vjp(torch.clamp, t(3, 5), t(5), t(5))
    check_vjp(torch.clamp, t(4), min=t(3, 1))
    check_vjp(torch.clamp, t(5), of(0.0, 1.0, 2.0, -1.0, 0.5), of(0.0, -1.0, 3.0, 1, 0))
    check_vjp(torch.clamp, t(), -0.1, 0.1)


def test_products_of_three() -> None:
    for func in (torch.addcmul, torch.addcdiv):
        check_vjp(func, t(3), t(2, 1), between(1, 2, 3))
        check_vjp(func, t(3), t(2, 1), between(1, 2, 3), value=-0.5)
    check_vjp(torch.lerp, t(2, 3), t(3), 0.3)
    check_vjp(torch.lerp, t(2, 3), t(3), 0.8)
    check_vjp(torch.lerp, t(2, 3), t(3), t(2, 1))


def test_exponents() -> None:
    check_vjp(torch.frexp, t(6))
    check_vjp(torch.ldexp, t(3), torch.tensor([1, 3, 0]))  # torch is wrong below 0
    check_vjp(torch.ldexp, t(3), t(2, 3))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_no_warnings_where_values_are_fine() -> None:
    big = of(-800.0, -1.0, 0.0, 800.0)
    check_vjp(torch.logaddexp, big, of(800.0, 1.0, 0.0, 800.0))
    check_vjp(torch.logaddexp2, big, of(800.0, 1.0, 0.0, 800.0))
    check_vjp(torch.atan2, of(0.0, 0.0, 1.0), of(0.0, 1.0, 0.0))
    check_vjp(torch.copysign, of(0.0, -0.0, 2.0), of(1.0, -1.0, -3.0))
    check_vjp(torch.sinc, of(0.0, 1.0, -2.0, 1e-30))


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("float", ()), ("double", ()), ("to", (torch.float64,)), ("contiguous", ()),
        ("type_as", (torch.zeros(1, dtype=torch.float64),)), ("half", ()),
        ("cfloat", ()),
    ],
)  # fmt: skip
def test_casts(method: str, args: tuple[Any, ...]) -> None:
    check_vjp(getattr(T, method), t(3, 4), *args)


def test_casts_to_integers_have_no_row() -> None:
    assert not {"long", "int", "bool", "byte"} & vjps().keys()


@pytest.mark.parametrize("name", ["detach", "data"])
def test_gradients_end(name: str) -> None:
    assert vjps()[name].__name__ == "zero"


class Overwrites(torch.nn.Module):
    """In-place forms: they arrive as ops of what was there and what replaces it."""

    def __init__(self) -> None:
        super().__init__()
        self.row = torch.nn.Parameter(torch.randn(4))
        self.number = torch.nn.Parameter(torch.randn(()))

    def forward(self, x: T) -> T:
        y = (2 * x).copy_(self.row)
        z = (3 * x).fill_(self.number)
        return x.exp() + y * z + (x * self.row).zero_()


def test_overwriting_cuts_the_old_value() -> None:
    agree(Overwrites(), torch.randn(3, 4))


def test_text() -> None:
    texts: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
        (torch.exp, (t(3),), "np.exp(v0)\nv0 * v1"),
        (torch.log, (between(1, 2, 3),), "np.log(v0)\nv0 / v1"),
        (torch.pow, (t(3), 2), "v0 ** 2\n2 * v0\nv0 * v1"),
        (torch.mul, (t(3), 2.5), "v0 * 2.5\nv0 * 2.5"),
        (torch.abs, (t(3),), "np.abs(v0)\nv0 * np.sign(v1)"),
    ]
    for func, args, text in texts:
        assert check_vjp(func, *args) == text, bind(func, args, {}).name
