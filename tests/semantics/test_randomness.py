"""Randomness end to end: modes, streams, probabilities, purity of draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import luxgen
from tests.semantics.agree import agree, drawn, refused

ONES = np.ones((64, 50), np.float32)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class Of(nn.Module):
    def __init__(self, function: Callable[..., Any], **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def ones() -> Tensor:
    return torch.ones(4, 50)


def rate(array: np.ndarray[Any, Any]) -> float:
    """The part of entries that dropout kept."""
    return float((array != 0).mean())


# -- dropout and the mode ---------------------------------------------------------


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "Dropout": lambda: nn.Dropout(0.3),
    "in place": lambda: nn.Dropout(0.3, inplace=True),
    "functional": lambda: Of(lambda m, x: F.dropout(x, 0.3, training=m.training)),
    "functional positional": lambda: Of(lambda m, x: F.dropout(x, 0.3, m.training)),
    "torch.dropout": lambda: Of(lambda m, x: torch.dropout(x, 0.3, m.training)),
    "under an if": lambda: Of(lambda m, x: F.dropout(x, 0.3) if m.training else x),
    "layer under an if": lambda: Of(
        lambda m, x: m.d(x) if m.training else x, d=nn.Dropout(0.3)
    ),
    "in a child": lambda: nn.Sequential(nn.Identity(), nn.Sequential(nn.Dropout(0.3))),
}


@pytest.mark.parametrize("name", LAYERS)
def test_dropout_is_off_in_testing(name: str) -> None:
    module, ps, st = drawn(LAYERS[name](), ones())
    still, same = module.apply(ONES, ps, module.testmode(st))
    np.testing.assert_array_equal(still, ONES)
    one, after = module.apply(ONES, ps, module.trainmode(st))
    assert abs(rate(one) - 0.7) < 0.05
    np.testing.assert_allclose(one[one != 0], 1 / 0.7, rtol=1e-6)
    again, _ = module.apply(ONES, ps, module.trainmode(st))
    np.testing.assert_array_equal(one, again)  # a pure function of (seed, step)
    two, _ = module.apply(ONES, ps, after)
    assert (one != two).any()
    assert repr(same) == repr(module.testmode(st)), "testing moved the stream"


ALWAYS: dict[str, Callable[[], nn.Module]] = {
    "functional default": lambda: Of(lambda m, x: F.dropout(x, 0.3)),
    "training=True": lambda: Of(lambda m, x: F.dropout(x, p=0.3, training=True)),
    "train override": lambda: AlwaysOn(),
}


class AlwaysOn(nn.Module):
    """Monte Carlo dropout by an override of train."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.3)

    def train(self, mode: bool = True) -> AlwaysOn:
        super().train(mode)
        self.drop.train()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(x)


@pytest.mark.parametrize("name", ALWAYS)
def test_monte_carlo_dropout_is_always_on(name: str) -> None:
    module, ps, st = drawn(ALWAYS[name](), ones())
    for mode in ("testmode", "trainmode"):
        held = getattr(module, mode)(st) if hasattr(module, mode) else st
        one, after = module.apply(ONES, ps, held)
        two, _ = module.apply(ONES, ps, after)
        assert abs(rate(one) - 0.7) < 0.05 and (one != two).any()


class NeverOn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.drop, self.other = nn.Dropout(0.3), nn.Dropout(0.0)

    def train(self, mode: bool = True) -> NeverOn:
        super().train(mode)
        self.drop.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.other(self.drop(x)), 0.4, training=False) * 2


def test_dropout_that_is_never_on() -> None:
    agree(NeverOn(), torch.randn(3, 4))


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_probability_zero_and_one(p: float) -> None:
    model = Of(
        lambda m, x: (m.d(x), F.dropout(x, p, m.training), m.c(x[..., None])),
        d=nn.Dropout(p),
        c=nn.Dropout1d(p),
    )
    agree(model, torch.randn(3, 4))


def test_modes_of_alpha_dropout() -> None:
    """F.alpha_dropout is off by default, F.dropout is on."""
    model = Of(
        lambda m, x: (F.alpha_dropout(x, 0.5), F.alpha_dropout(x, 0.5, m.training))
    )
    module, ps, st = drawn(model, torch.randn(4, 50))
    (off, on), _ = module.apply(ONES, ps, module.trainmode(st))
    assert (off == ONES).all() and (on != ONES).any()
    agree(model, torch.randn(3, 4), modes=("eval",))


def test_dropout_in_a_module_called_dropout() -> None:
    model = nn.Sequential()
    model.add_module("dropout", Of(lambda m, x: F.dropout(x, 0.3)))
    module, ps, st = drawn(model, ones())
    held = module.testmode(st) if hasattr(module, "testmode") else st
    assert abs(rate(module.apply(ONES, ps, held)[0]) - 0.7) < 0.05


def test_probability_from_an_attribute() -> None:
    class Scheduled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.p = 0.25

        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(x, p=self.p * 2, training=self.training)

    module, ps, st = drawn(Scheduled(), ones())
    assert abs(rate(module.apply(ONES, ps, module.trainmode(st))[0]) - 0.5) < 0.05


# -- streams ----------------------------------------------------------------------


def test_layers_draw_different_streams() -> None:
    model = Of(lambda m, x: (m.a(x), m.b(x), F.dropout(x, 0.5, m.training), F.dropout(x, 0.5, m.training)),
               a=nn.Dropout(0.5), b=nn.Dropout(0.5))  # fmt: skip
    module, ps, st = drawn(model, ones())
    results, after = module.apply(ONES, ps, module.trainmode(st))
    results2, _ = module.apply(ONES, ps, after)
    masks = [r != 0 for r in (*results, *results2)]
    for k, mask in enumerate(masks):
        for other in masks[:k]:
            assert 0.4 < (mask == other).mean() < 0.6


def test_layers_in_a_loop_draw_different_streams() -> None:
    class Looped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(
                [nn.Sequential(nn.Dropout(0.5)) for _ in range(3)]
            )

        def forward(self, x: Tensor) -> list[Tensor]:
            return [layer(x) for layer in self.layers]

    module, ps, st = drawn(Looped(), ones())
    results, _ = module.apply(ONES, ps, module.trainmode(st))
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert 0.4 < (results[a] == results[b]).mean() < 0.6


def test_seeds_differ_and_repeat() -> None:
    made = luxgen.transpile(
        nn.Sequential(nn.Linear(50, 50), nn.Dropout(0.5)), (ones(),)
    )
    module = made.load()
    first, again, other = (
        module.from_state_dict(made.weights, seed=seed) for seed in (1, 1, 2)
    )
    results = [module.apply(ONES, *each)[0] for each in (first, again, other)]
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()


# -- whole channels, noise --------------------------------------------------------


CHANNELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "Dropout1d": (lambda: nn.Dropout1d(0.5), (4, 30, 5)),
    "Dropout2d": (lambda: nn.Dropout2d(0.5), (4, 30, 2, 3)),
    "Dropout3d": (lambda: nn.Dropout3d(0.5), (4, 30, 2, 2, 2)),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_whole_channels(name: str) -> None:
    make, shape = CHANNELS[name]
    module, ps, st = drawn(make(), torch.ones(*shape))
    y, _ = module.apply(np.ones(shape, np.float32), ps, module.trainmode(st))
    flat = y.reshape(*shape[:2], -1)
    assert (flat == flat[..., :1]).all() and 0.2 < rate(flat[..., 0]) < 0.8


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    module, ps, st = drawn(nn.Sequential(nn.AlphaDropout(0.4)), torch.randn(4, 50))
    data = np.random.default_rng(0).standard_normal((200, 100)).astype(np.float32)
    y, _ = module.apply(data, ps, module.trainmode(st))
    assert abs(y.mean()) < 0.05 and abs(y.std() - 1) < 0.05


def noisy(m: Of, x: Tensor) -> Tensor:
    return x + torch.randn_like(x) * 0.1


def noisy_in_training(m: Of, x: Tensor) -> Tensor:
    if m.training:
        x = x + torch.randn(x.shape) * 0.1
    return x


def reparametrised(m: Of, x: Tensor) -> Tensor:
    mean, log_std = x.chunk(2, dim=-1)
    return mean + log_std.exp() * torch.empty_like(mean).normal_()


def uniform(m: Of, x: Tensor) -> Tensor:
    return (
        x
        + torch.rand(x.size(0), 1)
        - torch.rand_like(x[:, :1])
        + torch.randint_like(x, 0, 3)
    )


@pytest.mark.parametrize(
    "function", [noisy, noisy_in_training, reparametrised, uniform]
)
def test_noise(function: Callable[..., Any]) -> None:
    module, ps, st = drawn(Of(function), torch.zeros(4, 6))
    st = module.trainmode(st) if hasattr(module, "trainmode") else st
    data = np.zeros((8, 6), np.float32)
    one, after = module.apply(data, ps, st)
    two, _ = module.apply(data, ps, after)
    again, _ = module.apply(data, ps, st)
    assert (one != two).any() and one.dtype == np.float32
    np.testing.assert_array_equal(one, again)


def test_noise_in_training_only() -> None:
    agree(Of(noisy_in_training), torch.randn(3, 4), modes=("eval",))


def test_normal_noise_is_normal() -> None:
    module, ps, st = drawn(Of(lambda m, x: torch.randn_like(x)), torch.zeros(4, 50))
    y, _ = module.apply(np.zeros((200, 100), np.float32), ps, st)
    assert (
        abs(y.mean()) < 0.03
        and abs(y.std() - 1) < 0.03
        and abs((y**4).mean() - 3) < 0.3
    )


class StochasticDepth(nn.Module):
    """timm's DropPath: whole rows, in training only."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if self.p == 0.0 or not self.training:
            return x
        keep = 1 - self.p
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        mask = x.new_empty(shape).bernoulli_(keep)
        if keep > 0.0:
            mask.div_(keep)
        return x * mask


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(50, 50) for _ in range(3)])
        self.drops = nn.ModuleList([StochasticDepth(p) for p in (0.0, 0.25, 0.5)])

    def forward(self, x: Tensor) -> Tensor:
        for layer, drop in zip(self.layers, self.drops, strict=True):
            x = x + drop(torch.relu(layer(x)))
        return x


def test_stochastic_depth() -> None:
    agree(Deep(), torch.randn(4, 50), modes=("eval",))
    module, ps, st = drawn(Of(lambda m, x: m.d(x), d=StochasticDepth(0.25)), ones())
    y, _ = module.apply(ONES, ps, module.trainmode(st))
    assert (y == y[:, :1]).all() and 0.5 < rate(y[:, 0]) < 0.95


def test_gumbel_softmax() -> None:
    function = Of(
        lambda m, x: (F.gumbel_softmax(x, 0.5), F.gumbel_softmax(x, hard=True))
    )
    module, ps, st = drawn(function, torch.randn(4, 6))
    (soft, hard), _ = module.apply(np.zeros((5, 6), np.float32), ps, st)
    np.testing.assert_allclose(soft.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(hard.max(-1), 1, rtol=1e-5)


def test_draws_of_categories() -> None:
    model = Of(
        lambda m, x: (torch.multinomial(x.softmax(-1), 2), torch.bernoulli(x.sigmoid()))
    )
    module, ps, st = drawn(model, torch.randn(4, 6))
    (picked, coins), _ = module.apply(np.zeros((50, 6), np.float32), ps, st)
    assert picked.dtype == np.int64 and ((picked >= 0) & (picked < 6)).all()
    assert (picked[:, 0] != picked[:, 1]).all() and set(np.unique(coins)) == {0.0, 1.0}


def test_seed_set_in_forward_is_refused() -> None:
    def seeds(m: Of, x: Tensor) -> Tensor:
        torch.manual_seed(7)
        return x + torch.rand_like(x)

    def seeds_its_own(m: Of, x: Tensor) -> Tensor:
        generator = torch.Generator()
        generator.manual_seed(7)
        return x + torch.rand(x.shape, generator=generator)

    for function in (seeds, seeds_its_own):
        sites = refused(Of(function), torch.zeros(3, 4))
        assert "manual_seed" in sites[0].source


def test_own_generator_is_a_stream() -> None:
    class Owns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.generator = torch.Generator().manual_seed(3)

        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand(x.shape, generator=self.generator)

    module, ps, st = drawn(Owns(), torch.zeros(3, 4))
    data = np.zeros((3, 4), np.float32)
    one, after = module.apply(data, ps, st)
    assert (one != module.apply(data, ps, after)[0]).any()


def test_transpiling_leaves_torchs_stream_alone() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.BatchNorm1d(4))
    before, state = (
        {k: v.clone() for k, v in model.state_dict().items()},
        torch.get_rng_state(),
    )
    flags = [m.training for m in model.modules()]
    luxgen.transpile(model, (torch.randn(3, 4, generator=torch.Generator()),))
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in model.modules()] == flags
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
