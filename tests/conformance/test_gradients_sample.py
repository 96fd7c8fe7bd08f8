"""A quick part of the gradient conformance runs: one sample per torch.nn module."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.conformance import gradients
from tests.conformance.compare import MismatchError
from tests.conformance.gradients import (
    NoGradientError,
    check_differences,
    check_gradients,
)
from tests.conformance.module_db import MODULES, build_leaves, module_inputs
from tests.conformance.op_db import OPS, differentiable, op_sample
from tests.conformance.quotients import NoQuotientError, check_quotients
from tests.conformance.reference import Sample, TorchCannotRunError

OPERATORS = (
    "cat",
    "cumsum",
    "fft.fft",
    "index_add",
    "linalg.cholesky",
    "max.reduction_with_dim",
    "nn.functional.dropout",
    "nn.functional.gelu",
    "where",
)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_the_gradients_of_torch(name: str) -> None:
    info, dtype = MODULES[name], torch.float32
    given = module_inputs(info, True, dtype, grad=True)[0]
    check_gradients(build_leaves(info, given, True, dtype))


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("check", [check_gradients, check_differences])
def test_an_operator_has_gradients_by_both_witnesses(name: str, check: Any) -> None:
    dtype = torch.float32 if check is check_gradients else torch.float64
    given = next(differentiable(OPS[name], dtype))
    check(op_sample(OPS[name], given))


class Cube(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x**3


def cubed(dtype: torch.dtype = torch.float64) -> Sample:
    x = torch.linspace(-1, 2, 6, dtype=dtype).reshape(2, 3)
    return Sample(Cube().train(), (x.requires_grad_(),), {})


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The derivative of every power is wrong by a thousandth."""
    from luxgen.passes.vjp import vjps

    row = vjps()["pow"]
    wrong = {"pow": lambda g: {n: t * 1.001 for n, t in row(g).items() if t}}
    monkeypatch.setattr("luxgen.passes.autodiff.vjps", lambda: {**vjps(), **wrong})


@pytest.mark.usefixtures("scaled")
def test_a_wrong_gradient_is_noticed_by_autograd() -> None:
    with pytest.raises(MismatchError, match="input 0: error"):
        check_gradients(cubed(torch.float32))


@pytest.mark.usefixtures("scaled")
def test_a_wrong_gradient_is_noticed_by_quotients() -> None:
    with pytest.raises(MismatchError, match="the difference quotient is"):
        check_differences(cubed())


def test_a_kink_is_no_place_for_a_quotient() -> None:
    sample = Sample(nn.ReLU(), (torch.zeros(2, 3).double().requires_grad_(),), {})
    with pytest.raises(TorchCannotRunError, match="torch's own: input 0"):
        check_differences(sample)


def test_what_nothing_is_learnt_from_is_told_apart() -> None:
    with pytest.raises(NoGradientError):
        check_gradients(Sample(nn.ReLU(), (torch.ones(2, 3),), {}))


def test_a_pole_has_no_quotient() -> None:
    at = {"x": np.zeros(2)}
    with (
        pytest.raises(NoQuotientError, match="isn't finite"),
        np.errstate(all="ignore"),
    ):
        check_quotients(lambda c: float(np.sum(1 / c.get("x", at["x"]))), at, at)


@pytest.mark.parametrize("fault", ["cotangent", "counter"])
def test_a_pullback_must_be_pure(fault: str) -> None:
    calls: list[Any] = []

    def pullback(dy: np.ndarray) -> tuple[np.ndarray, tuple[()]]:
        calls.append(dy)
        dx = dy * (len(calls) if fault == "counter" else 1)
        if fault == "cotangent":
            dy += 0  # as harmless as a change can be
            dy[...] = 0 if len(calls) == 2 else dy
        return dx, ()

    text = types.SimpleNamespace(
        from_state_dict=lambda _: ((), ()),
        state_dict=lambda ps, st: {},
        apply=lambda x, ps, st: (x, st),
        vjp=lambda x, ps, st: (x * 2, st, pullback),
    )
    subject: Any = gradients._Subject(cubed(), text, {})  # type: ignore[arg-type]
    wrong = "second pullback" if fault == "counter" else "changed"
    with pytest.raises(MismatchError, match=wrong):
        subject.gradients()
