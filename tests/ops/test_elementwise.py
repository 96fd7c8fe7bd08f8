"""Elementwise math, comparison and logic: values, dtypes and text against torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import tensor

from luxgen.ir.values import Value
from luxgen.targets.numpy.rules import template
from luxgen.targets.numpy.rules.op import Op, Refused
from tests.ops.opcheck import check

NAN, INF = float("nan"), float("inf")
torch.set_num_threads(1)


def reals(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator)


def integers(*shape: int, seed: int = 0, low: int = -9, high: int = 9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, shape, generator=generator)


X, Y = reals(3, 4), reals(3, 4, seed=1)
INTS, J = integers(3, 4), integers(3, 4, seed=1)
P = X.abs() + 0.1
B, C = X > 0, Y > 0
S, K = tensor(0.75), tensor(3)
D = X.double()
Z = torch.complex(X, Y)

UNARY_ANYWHERE = [
    "neg", "abs", "square", "exp", "expm1", "sin", "cos", "tan", "atan", "sinh", "cosh",
    "tanh", "asinh", "deg2rad", "rad2deg", "sign", "sgn", "floor", "ceil", "trunc",
    "round", "sinc", "angle", "isnan", "isinf", "isfinite", "isposinf", "isneginf",
    "logical_not", "nan_to_num", "signbit", "exp2", "conj", "real", "isreal",
]  # fmt: skip
UNARY_POSITIVE = ["sqrt", "rsqrt", "log", "log2", "log10", "log1p", "reciprocal"]


@pytest.mark.parametrize("name", UNARY_ANYWHERE)
def test_unary(name: str) -> None:
    function = getattr(torch, name)
    for x in (X, INTS, S, D, reals(0, 3)):
        check(function, x)
    if name in ("sign", "square", "exp", "logical_not", "isnan", "sin", "signbit"):
        check(function, B)


@pytest.mark.parametrize("name", UNARY_POSITIVE)
def test_unary_of_positive_numbers(name: str) -> None:
    for x in (P, INTS.abs() + 1, S, tensor(2), D.abs() + 1):
        check(getattr(torch, name), x)


@pytest.mark.parametrize("name", ["asin", "acos", "atanh", "frac", "acosh"])
def test_unary_within_bounds(name: str) -> None:
    check(getattr(torch, name), X / 4 + (name == "acosh") * 3)
    check(getattr(torch, name), S + (name == "acosh"))


EDGES = tensor([NAN, INF, -INF, -0.0, 0.0, 2.5, -2.5, 0.5, 3.5])


@pytest.mark.parametrize(
    "name",
    ["sign", "round", "trunc", "floor", "angle", "nan_to_num", "isfinite", "abs"],
)
def test_unary_edges(name: str) -> None:
    check(getattr(torch, name), EDGES)


BINARY = ["add", "sub", "mul", "div", "maximum", "minimum", "fmax", "fmin", "remainder",
          "fmod", "floor_divide", "atan2", "hypot", "logaddexp", "copysign", "eq", "ne",
          "lt", "le", "gt", "ge", "logical_and", "logical_or",
          "logical_xor"]  # fmt: skip
FLOATS_ONLY = {"hypot", "logaddexp"}


@pytest.mark.parametrize("name", BINARY)
def test_binary_promotion(name: str) -> None:
    function = getattr(torch, name)
    check(function, X, Y)
    check(function, S, tensor(0.3))
    check(function, D, D.T.reshape(3, 4))
    check(function, X, Y[0])
    check(function, X[:0], Y[:0])
    if name in FLOATS_ONLY:
        return
    check(function, X, J + 20)  # float32 and int64: float32
    check(function, INTS, Y)
    check(function, INTS, J.abs() + 1)
    check(function, X, tensor(0.5, dtype=torch.float64))  # 0-d has no say
    check(function, INTS, tensor(0.5))
    check(function, INTS.int(), tensor(3))
    check(function, tensor(2), tensor(0.5, dtype=torch.float64))
    check(function, X.double(), Y)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "remainder", "pow"])
def test_python_numbers(name: str) -> None:
    python = {"div": "truediv", "remainder": "mod"}.get(name, name)
    method = getattr(torch.Tensor, f"__{python}__")
    reverse = getattr(torch.Tensor, f"__r{python}__")
    if name in ("add", "mul"):  # torch calls these add and mul themselves
        reverse = method
    for x in (P, INTS.abs() + 1, S, K, P.double(), K.int()):
        check(method, x, 3)
        check(method, x, 2.5)
        check(reverse, x, 3)
        check(reverse, x, 2.5)
    if name in ("add", "mul", "div"):
        check(method, B, 2)
        check(method, B, 0.5)
        check(method, B, tensor(1.5))


def test_text_is_what_a_person_writes() -> None:
    assert check(torch.add, X, Y) == "v0 + v1"
    assert check(torch.add, X, 1) == "v0 + 1"
    assert check(torch.Tensor.__rsub__, X, 1) == "1 - v0"
    assert check(torch.mul, X, B) == "v0 * v1"  # bool * float32 agree already
    assert check(torch.pow, X, 2) == "v0 ** 2"
    assert check(torch.rsqrt, P) == "1 / np.sqrt(v0)"
    assert check(torch.clamp, X, min=0) == "np.maximum(v0, 0)"
    assert check(torch.clamp, X, -1, 1) == "np.clip(v0, -1, 1)"
    assert check(torch.mul, INTS, 0.5) == "v0.astype(np.float32) * 0.5"
    assert check(torch.eq, INTS, 0) == "v0 == 0"
    assert check(torch.where, B, X, 0.0) == "np.where(v0, v1, 0.0)"
    assert check(torch.Tensor.masked_fill, X, B, -INF) == "np.where(v1, -np.inf, v0)"
    assert check(torch.Tensor.float, X) == "v0"
    assert check(torch.Tensor.long, X) == "v0.astype(np.int64)"


def test_scaled_sums() -> None:
    for x, y, alpha in ((X, Y, 0.5), (INTS, J, 3), (S, S, 0.1), (X, J, 2)):
        check(torch.add, x, y, alpha=alpha)
        check(torch.sub, x, y, alpha=alpha)
        check(torch.rsub, x, y, alpha=alpha)
    check(torch.addcmul, X, Y, P)
    check(torch.addcmul, X, Y, P, value=0.3)
    check(torch.addcdiv, X, Y, P, value=-2)
    check(torch.addcmul, INTS, J, J, value=2)


@pytest.mark.parametrize("mode", [None, "floor", "trunc"])
def test_div_rounding(mode: str | None) -> None:
    numbers = tensor([7, -7, 7, -7, 6, 0, -1])
    others = tensor([2, 2, -2, -2, 3, 5, 3])
    check(torch.div, numbers, others, rounding_mode=mode)
    check(torch.div, numbers.float(), others, rounding_mode=mode)
    check(torch.div, numbers, 2.5, rounding_mode=mode)
    check(torch.div, numbers, -2, rounding_mode=mode)
    check(torch.div, X, 0.3, rounding_mode=mode)


def test_division_of_floats_rounds_as_torch() -> None:
    x, y = tensor([5.0, -5.0, 1.0, -1.0]), tensor([INF, INF, 0.1, 0.1])
    for name in ("remainder", "fmod", "floor_divide"):
        check(getattr(torch, name), x, y)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 0.5, -1, -0.5, 1.5, 3.0, -2.0])
def test_pow(exponent: float) -> None:
    check(torch.pow, P, exponent)
    check(torch.pow, S, exponent)
    check(torch.pow, P.double(), exponent)
    if exponent == int(exponent) >= 0:
        check(torch.pow, X, exponent)
        check(torch.pow, INTS, exponent)


def test_pow_of_tensors() -> None:
    check(torch.pow, P, Y)
    check(torch.pow, 2, Y)
    check(torch.pow, 2.5, INTS.abs())
    check(torch.pow, P, INTS)
    check(torch.pow, tensor([2, 3, 1, -1, -1, 0]), tensor([-1, 2, -3, -3, -4, -1]))
    check(torch.float_power, INTS.abs() + 1, 0.5)
    check(torch.float_power, P, Y)


def test_clamp() -> None:
    for x in (X, EDGES, INTS, S, D):
        check(torch.clamp, x, min=-0.5)
        check(torch.clamp, x, max=2)
        check(torch.clamp, x, -1, 1.5)
        check(torch.clamp, x, 3, -3)  # max wins
    check(torch.clamp, X, Y, Y + 1)
    check(torch.clamp, X, max=Y)
    check(torch.clamp, tensor([1.0, 2.0]), tensor([NAN, 0.0]))
    check(torch.clamp, X, min=J)
    check(torch.clamp_min, X, 0.25)
    check(torch.clamp_max, INTS, 2)
    check(torch.Tensor.clip, X, 0, 1)


def test_interpolation() -> None:
    for weight in (0.2, 0.5, 0.9, tensor(0.3), P, tensor(0.7)):
        check(torch.lerp, X, Y, weight)
    check(torch.lerp, S, tensor(2.0), 0.25)


def test_floating_point_parts() -> None:
    check(torch.frexp, X)
    check(torch.ldexp, X, INTS)
    check(torch.ldexp, INTS, J)
    check(torch.ldexp, X, P)
    check(torch.nextafter, X, Y)
    check(torch.heaviside, EDGES, tensor([0.5]))
    check(torch.heaviside, INTS, J)
    check(torch.round, X, decimals=2)
    check(torch.gcd, INTS, J)
    check(torch.lcm, INTS, J)
    check(torch.nan_to_num, EDGES, nan=1.0, posinf=2.0, neginf=-3.0)


def test_unsigned_bytes_wrap() -> None:
    x = tensor([0, 1, 255], dtype=torch.uint8)
    check(torch.add, x, 1)
    check(torch.add, x, -1)
    check(torch.sub, x, 300)
    check(torch.mul, x, x)
    check(torch.clamp, x, min=-1)


def test_numbers_beyond_float32() -> None:
    check(torch.mul, X, 1e300)
    check(torch.lt, X, 1e300)
    lowest = torch.finfo(torch.float32).min
    text = check(torch.masked_fill, X, B, lowest)
    assert text == "np.where(v1, np.finfo(np.float32).min, v0)"
    check(torch.masked_fill, X.half(), B, torch.finfo(torch.float16).min)
    check(torch.masked_fill, S, tensor(True), lowest)
    check(torch.where, B, X, lowest)
    check(torch.clamp, X, min=lowest)
    check(torch.mul, X, 3.402e38)
    check(torch.add, X.half(), 1e9)


def test_comparison_is_in_torchs_dtype() -> None:
    x = tensor([0.1, 0.2])
    check(torch.eq, x, 0.1)
    check(torch.eq, x[0], 0.1)
    check(torch.ge, x, tensor(0.1, dtype=torch.float64))
    check(torch.eq, tensor([2**24 + 1]), 2.0**24)  # equal in float32
    check(torch.isclose, X, X + 1e-6, rtol=0, atol=1e-5)
    check(torch.isclose, tensor([NAN]), tensor([NAN]), equal_nan=True)
    check(torch.equal, X, X.clone())
    check(torch.allclose, X, X + 1e-9)


def test_bits() -> None:
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        check(getattr(torch, name), INTS, J)
        check(getattr(torch, name), B, C)
        check(getattr(torch, name), INTS, 5)
    check(torch.bitwise_not, INTS)
    check(torch.bitwise_not, B)
    check(torch.bitwise_left_shift, INTS, 3)
    check(torch.bitwise_right_shift, INTS, 2)
    check(torch.bitwise_right_shift, tensor([-1, 4]), tensor([70, 1]))
    check(torch.Tensor.__rand__, INTS, 3)


def test_where() -> None:
    check(torch.where, B, X, Y)
    check(torch.where, B, INTS, Y)
    check(torch.where, B, X, J)
    check(torch.where, B, INTS, 0.5)
    check(torch.where, B, 1.0, 0.0)
    check(torch.where, B, 1, 0)
    check(torch.where, B, S, 0.1)
    check(torch.where, B, 0.1, S)
    check(torch.where, B[0, 0], X, 0.1)
    check(torch.where, B, X, tensor(0.1, dtype=torch.float64))
    check(torch.where, B[:, :1], X, Y[0])
    check(torch.where, B)


def test_masks() -> None:
    check(torch.masked_fill, X, B, 0.1)
    check(torch.masked_fill, X, B, tensor(0.1, dtype=torch.float64))
    check(torch.masked_fill, S, tensor(True), 0.1)
    check(torch.masked_fill, INTS, B, 7)
    check(torch.masked_fill, INTS, B, 7.9)
    check(torch.masked_fill, B, C, True)
    check(torch.masked_fill, X, B[0], -1e9)
    check(torch.masked_fill, X[:, :1], B, 2.0)
    check(torch.masked_select, X, B)
    check(torch.masked_select, X, B[0])
    check(torch.masked_select, X[:, :1], B)
    check(torch.masked_scatter, X, B, Y)
    check(torch.masked_scatter, X, B[0], Y)


CASTS: list[Any] = [torch.float32, torch.float64, torch.int32, torch.int64, torch.bool,
                    torch.float16, torch.uint8]  # fmt: skip


@pytest.mark.parametrize("dtype", CASTS)
def test_casts(dtype: torch.dtype) -> None:
    for x in (P, INTS.abs(), B, S, P.half()):
        check(torch.Tensor.to, x, dtype)
        check(torch.Tensor.type, x, dtype)
    check(torch.Tensor.to, P, torch.ones(1, dtype=dtype))
    check(torch.Tensor.type_as, P, torch.ones(1, dtype=dtype))


def test_half_precision_rounds_each_step() -> None:
    h, g = X.half(), Y.half()
    check(torch.add, h, g)
    check(torch.mul, h, 0.1)
    check(torch.exp, h)
    check(torch.Tensor.float, torch.add(h, g))


def test_where_of_a_condition_that_is_not_bool_is_refused() -> None:
    values = {n: Value("float32", (3,)) for n in ("condition", "input", "other")}
    with pytest.raises(Refused, match="bool"):
        template(Op("where", dict(values), (values["input"],)))


def test_bfloat16_is_refused() -> None:
    with pytest.raises(Refused, match="bfloat16"):
        check(torch.Tensor.to, X, torch.bfloat16)
    with pytest.raises(Refused, match="bfloat16"):
        check(torch.Tensor.bfloat16, X)


def test_complex() -> None:
    for name in ("add", "mul", "sub", "div"):
        check(getattr(torch, name), Z, Z.T.reshape(3, 4))
        check(getattr(torch, name), Z, X)
        check(getattr(torch, name), X, 1 + 2j)
    for name in ("exp", "abs", "angle", "conj", "real", "imag", "sgn", "sqrt", "sin"):
        check(getattr(torch, name), Z)
    check(torch.sgn, torch.zeros(2, dtype=torch.complex64))
    check(torch.complex, X, Y)
    check(torch.complex, tensor([INF]), tensor([NAN]))
    check(torch.polar, P, X)
    check(torch.polar, tensor([INF]), tensor([0.5]))
    check(torch.view_as_real, Z)
    check(torch.view_as_complex, reals(3, 4, 2))
    check(torch.view_as_complex, reals(2, 3, 4).permute(1, 2, 0).contiguous())


def test_fills() -> None:
    check(torch.Tensor.fill_, X.clone(), 2)
    check(torch.Tensor.zero_, X.clone())
    check(torch.Tensor.copy_, X.clone(), Y)
    check(torch.Tensor.copy_, X.clone(), J[0])
    check(torch.Tensor.clone, X)
    check(torch.Tensor.detach, X)
    check(torch.Tensor.contiguous, X.T)


def test_in_place_keeps_the_dtype() -> None:
    """An op written in place arrives as itself, with the dtype of what it changes."""
    narrow, wide = Value("float32", (3,)), Value("float64", (3,))
    text = template(Op("add", {"input": narrow, "other": wide}, (narrow,)))
    assert text == "(input + other).astype(np.float32)"
    text = template(Op("gt", {"input": narrow, "other": 0}, (narrow,)))
    assert text == "(input > other).astype(np.float32)"
    check(torch.Tensor.clamp_, X.clone(), 0, 1)
    check(torch.Tensor.masked_fill_, X.clone(), B, 0.5)


def test_unknown_argument_is_refused() -> None:
    value = Value("float32", (2,))
    with pytest.raises(Refused, match="novelty"):
        template(Op("exp", {"input": value, "novelty": 1}, (value,)))
