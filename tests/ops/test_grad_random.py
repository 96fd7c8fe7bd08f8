"""VJP rows of dropout and random numbers: torch's function of the numbers we drew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from luxgen.ir.program import Op
from luxgen.ops import dropout_backward, noise_backward
from luxgen.ops.dropout import AlwaysDropoutState, DropoutState
from luxgen.ops.noise import NoiseState, generator
from luxgen.ops.noise_backward import standard_gamma_backward
from luxgen.passes.vjp import vjps
from luxgen.passes.vjp.row import Row
from luxgen.passes.vjp.terms import Tape
from luxgen.targets.numpy.helpers import helper_function
from luxgen.targets.numpy.rules import rules
from tests.ops.gradcheck import check_stateful, check_vjp, t

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
SEED, STEP = 11, 3


def kept(shape: tuple[int, ...], p: float) -> torch.Tensor:
    """The mask that (SEED, STEP) draws."""
    draws = generator(SEED, STEP).random(shape, dtype=np.float32)
    return torch.from_numpy(np.asarray(draws >= p))


def per_channel(name: str, ndim: int) -> int:
    """How many first dims have draws of their own."""
    return 1 if (name, ndim) in (("dropout1d", 2), ("dropout3d", 4)) else 2


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("dropout", (4, 5)),
        ("dropout", ()),
        ("dropout", (0, 3)),
        ("dropout1d", (4, 6, 5)),
        ("dropout1d", (6, 5)),
        ("dropout2d", (4, 6, 5, 3)),
        ("dropout3d", (2, 6, 2, 3, 2)),
        ("dropout3d", (6, 2, 3, 2)),
        ("feature_dropout", (4, 6, 5)),
        ("alpha_dropout", (4, 5)),
        ("feature_alpha_dropout", (4, 6, 5)),
    ],
)
@pytest.mark.parametrize("p", [0.3, 0.5, 0.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout(
    name: str, shape: tuple[int, ...], p: float, dtype: torch.dtype
) -> None:
    drawn = shape
    if name not in ("dropout", "alpha_dropout"):
        axes = per_channel(name, len(shape))
        drawn = shape[:axes] + (1,) * (len(shape) - axes)

    def reference(input: torch.Tensor, p: float = 0.5) -> torch.Tensor:
        keep = kept(drawn, p)
        if "alpha" not in name:
            return input * keep / (1 - p or 1)
        if p == 1:
            return input * 0
        limit = 1.7580993408473766
        a = ((1 - p) * (1 + p * limit**2)) ** -0.5
        return torch.where(keep, input, -limit) * a + a * limit * p

    args: dict[str, Any] = {"input": t(*shape, dtype=dtype)}
    args |= {} if p == 0.5 else {"p": p}
    check_stateful(name, args, DropoutState(SEED, STEP), reference)
    off = DropoutState(SEED, STEP, training=False)
    check_stateful(name, args, off, lambda input, **_: input * 1)


def test_dropout_that_no_mode_reaches() -> None:
    state = AlwaysDropoutState(SEED, STEP)
    args = {"input": t(4, 5)}
    check_stateful("dropout", args, state, lambda input: input * kept((4, 5), 0.5) * 2)


def test_the_same_numbers_as_without_gradients() -> None:
    """A form that keeps its draws gives the result and state of the plain one."""
    x = generator(1, 0).standard_normal((40, 6, 3), np.float32)
    given: dict[str, dict[str, Any]] = {
        "dropout": {"p": 0.3},
        "feature_dropout": {"p": 0.3, "axes": 1},
        "alpha_dropout": {"p": 0.3},
        "rrelu": {"lower": 0.1},
        "gumbel_softmax": {"tau": 0.7, "dim": 1},
        "dirichlet": {},
    }
    saving = [n for n in (*vars(dropout_backward), *vars(noise_backward))
              if n.endswith("_saved")]  # fmt: skip
    assert sorted(n.removesuffix("_saved") for n in saving) == sorted(given)
    for name, options in given.items():
        noise = name in ("gumbel_softmax", "dirichlet")
        states = (
            [NoiseState(SEED, STEP)]
            if noise
            else [DropoutState(SEED, STEP), DropoutState(SEED, STEP, training=False)]
        )
        for state in states:
            data = np.abs(x) if name == "dirichlet" else x
            more = {"hard": True} if name == "gumbel_softmax" else {}
            y, st = helper_function(name)(data, state, **options, **more)
            (again, _), same = helper_function(f"{name}_saved")(data, state, **options)
            np.testing.assert_array_equal(again, y)
            assert again.dtype == y.dtype and same == st


def test_dropout_without_a_state() -> None:
    assert len(check_vjp(F.dropout, t(3, 4), 0.5, False).splitlines()) == 1
    assert len(check_vjp(F.alpha_dropout, t(3, 4)).splitlines()) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rrelu(dtype: torch.dtype) -> None:
    def reference(
        input: torch.Tensor, lower: float = 1 / 8, upper: float = 1 / 3
    ) -> torch.Tensor:
        draws = generator(SEED, STEP).uniform(lower, upper, tuple(input.shape))
        slope = torch.from_numpy(draws.astype(np.float32))
        if input.dtype == torch.float64 and dtype == torch.float64:
            slope = torch.from_numpy(draws)
        return torch.where(input > 0, input, input * slope.to(input.dtype))

    for options in ({}, {"lower": 0.1, "upper": 0.9}):
        args: dict[str, Any] = {"input": t(4, 5, dtype=dtype), **options}
        check_stateful("rrelu", args, DropoutState(SEED, STEP), reference)
        off = DropoutState(SEED, STEP, training=False)
        check_stateful("rrelu", args, off, lambda input, **o: F.rrelu(input, **o))


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("dim", [-1, 0])
def test_gumbel_softmax(hard: bool, dim: int) -> None:
    def reference(
        logits: torch.Tensor, tau: float = 1.0, hard: bool = False, dim: int = -1
    ) -> torch.Tensor:
        noise = generator(SEED, STEP).gumbel(size=tuple(logits.shape))
        noise = torch.from_numpy(noise.astype(np.float32)).to(logits.dtype)
        soft = ((logits + noise) / tau).softmax(dim)
        if not hard:
            return soft
        top = torch.zeros_like(soft).scatter(dim, soft.argmax(dim, keepdim=True), 1.0)
        return top - soft.detach() + soft

    for options in ({}, {"tau": 0.3}):
        args: dict[str, Any] = {"logits": t(4, 5), "hard": hard, "dim": dim, **options}
        check_stateful("gumbel_softmax", args, NoiseState(SEED, STEP), reference)


class Drawn(torch.autograd.Function):
    """torch's gradient of gamma draws, for draws that are given."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, draws)
        return draws.clone()

    @staticmethod
    def backward(ctx: Any, d: torch.Tensor) -> tuple[torch.Tensor, None]:
        return d * torch._standard_gamma_grad(*ctx.saved_tensors), None


def gammas(x: torch.Tensor) -> torch.Tensor:
    """What (SEED, STEP) draws of the shape parameters x, rounded to float32."""
    shape = x.detach().float().numpy()
    draws = generator(SEED, STEP).standard_gamma(shape).astype(np.float32)
    found: torch.Tensor = Drawn.apply(x, torch.from_numpy(draws).to(x.dtype))
    return found


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0, 12.0, 500.0])
def test_gamma(scale: float) -> None:
    x = (scale * (0.5 + torch.rand(6, 20))).requires_grad_()
    for name in ("standard_gamma", "_standard_gamma"):
        state = NoiseState(SEED, STEP)
        check_stateful(name, {"input": x}, state, lambda input: gammas(input))

    def reference(input: torch.Tensor) -> torch.Tensor:
        draws = gammas(input)
        return draws / draws.sum(-1, keepdim=True)

    if scale > 0.1:  # draws that float32 has as 0
        check_stateful(
            "_sample_dirichlet", {"input": x}, NoiseState(SEED, STEP), reference
        )


def test_gamma_slopes_everywhere() -> None:
    """All four expansions of torch, and draws of 0."""
    x = torch.logspace(-2, 3, 300, dtype=torch.float64)[:, None]
    z = torch.cat((torch.zeros(1), torch.logspace(-3, 0.5, 100))).double() * x
    x = x.expand_as(z).contiguous()
    ours = standard_gamma_backward(np.ones(z.shape), x.numpy(), z.numpy())
    exact = torch._standard_gamma_grad(x, z).numpy()
    np.testing.assert_allclose(ours, exact, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("func", [torch.normal, torch.bernoulli, torch.poisson])
def test_draws_have_no_gradient(func: Any) -> None:
    """torch gives 0 for the parameters of these, mean and std included."""
    x = torch.rand(3, 4).requires_grad_()
    y = func(x, x) if func is torch.normal else func(x)
    if y.requires_grad:
        assert not torch.autograd.grad(y.sum(), x)[0].any()
    op = Op(func.__name__, {"input": x}, None, state=("noise",))
    assert vjps()[func.__name__](Row(op, (), Tape())) == {}


def test_all_random_ops_have_rows() -> None:
    names = {n for n in rules("STATEFUL") if not n.endswith("_saved")}
    elsewhere = {"gru", "lstm", "rnn", "multi_head_attention",
                 "multi_head_attention_forward", "scaled_dot_product_attention"}  # fmt: skip
    assert not names - elsewhere - vjps().keys()
