"""Structure end to end: names, tied and repeated modules, inputs, outputs, buffers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import luxgen
from tests.semantics.agree import agree


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def x(*shape: int) -> torch.Tensor:
    return torch.randn(*(shape or (3, 4)))


# -- tied and repeated ------------------------------------------------------------


class TiedParameter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.embed(ids)))


class TiedModule(nn.Module):
    """One module under two names, used under both."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.again = self.first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.again(torch.relu(self.first(x)))


class TiedBuffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        table = torch.arange(4.0)
        self.register_buffer("a", table)
        self.register_buffer("b", table)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.a += 1
        return x * self.b


class TwiceCalled(nn.Module):
    """Norm and dropout keep their state from the first call to the second."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(self.block(x) * 2)


class Block(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.fc = nn.Linear(n, n)
        self.norm = nn.BatchNorm1d(n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.fc(x)))


class LeafTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.norm(x) * 3 + 1)


def test_tied_parameter_is_one_leaf() -> None:
    made = agree(TiedParameter(), torch.randint(7, (3, 5)))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    assert module.ravel(ps).size == 28
    held = module.state_dict(ps, st)
    assert held["head.weight"] is held["embed.weight"]


def test_tied_module() -> None:
    made = agree(TiedModule(), x())
    assert made.load().NUM_PARAMETERS == 4 * 4 + 4 + 8


def test_tied_buffer() -> None:
    agree(TiedBuffer(), x())


@pytest.mark.parametrize("model", [TwiceCalled, LeafTwice])
def test_called_twice(model: type[nn.Module]) -> None:
    agree(model(), x(6, 4), batches=(3,))


def test_dropout_called_twice_draws_two_masks() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.drop(x), self.drop(x)

    made = luxgen.transpile(Twice(), torch.ones(4, 50))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    (a, b), after = module.apply(np.ones((4, 50), np.float32), ps, st)
    assert (a != b).any()
    (c, _), _ = module.apply(np.ones((4, 50), np.float32), ps, after)
    assert (a != c).any() and (b != c).any()


# -- containers and names ---------------------------------------------------------


class OddDict(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        keys = ("conv-1", "0", "class", "a b", "count", "_fields", "é", "x")
        self.parts = nn.ModuleDict({k: nn.Linear(4, 4) for k in keys})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in self.parts.values():
            x = x + part(x).tanh()
        return x


class Colliding(nn.Module):
    """Names that become the same identifier if spelled carelessly."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(
            {k: nn.Linear(4, 4) for k in ("a-b", "a_b", "a b", "_a_b", "1", "n1", "_1")}
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in self.parts.values():
            x = part(x).tanh()
        return x


class Lists(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.scales = nn.ParameterList([nn.Parameter(torch.randn(4)) for _ in range(3)])
        self.shifts = nn.ParameterDict(
            {"in": torch.randn(4), "weight-1": torch.randn(4)}
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.shifts["in"]
        for layer, scale in zip(self.layers, self.scales, strict=True):
            x = torch.relu(layer(x)) * scale
        return x - self.shifts["weight-1"]


class Mixed(nn.Module):
    """A ModuleList with places that differ or hold nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Linear(4, 5),
                nn.ReLU(),
                nn.Linear(5, 4),
                nn.Identity(),
                nn.LayerNorm(4),
            ]
        )
        self.backwards = nn.ModuleList([nn.Linear(4, 4) for _ in range(4)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        for layer in reversed(self.backwards):
            x = layer(x).tanh()
        for layer in self.backwards[1:3]:
            x = layer(x).tanh()
        return x + self.backwards[-1](x)


class NamedSequential(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential()
        self.net.add_module("first", nn.Linear(4, 4))
        self.net.add_module("lambda", nn.BatchNorm1d(4))
        self.net.add_module("7", nn.Linear(4, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class OddNames(nn.Module):
    """Parameters and buffers with names that Python or the module use themselves."""

    NAMES = ("0", "class", "lambda", "None", "np", "x", "count", "_fields", "index",
             "ps", "st", "def", "self", "_replace", "__x", "setup", "training_")  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        for name in self.NAMES:
            self.register_parameter(name, nn.Parameter(torch.randn(4)))
        self.register_buffer("seed", torch.randn(4))
        self.register_buffer("True", torch.randn(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in self.NAMES:
            x = (x + self._parameters[name]) * 1.5
        return x * self.seed + self._buffers["True"]


class DottedParameter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ParameterDict({"weight": torch.randn(4)})
        self.weight = nn.Parameter(torch.randn(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight + self.inner["weight"]


class ReadsTraining(nn.Module):
    """A buffer and a parameter beside a mode flag."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(4))
        self.register_buffer("offset", torch.randn(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale if self.training else x + self.offset


@pytest.mark.parametrize(
    "model",
    [OddDict, Colliding, Lists, Mixed, OddNames, DottedParameter, ReadsTraining],
)
def test_names_and_containers(model: type[nn.Module]) -> None:
    made = agree(model(), x())
    assert {*made.weights} >= {*model().state_dict()}


def test_named_sequential() -> None:
    agree(NamedSequential(), x())


def test_helper_named_class() -> None:
    """A user's class may be called as a helper, a NamedTuple or a builtin is."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(4, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.linear(x, self.w) + 1

    class Apply(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = Linear()
            self.true = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.softmax(self.true(self.linear(x)), -1)

    class Softmax(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.apply_ = Apply()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.apply_(x) + F.gelu(x)

    class Params(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.softmax = Softmax()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.softmax(x)

    class State(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.params = Params()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.params(x))

    agree(State(), x())


def make_block(scale: float) -> nn.Module:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.w * scale if scale > 2 else x * self.w + scale

    return Block()


def test_classes_of_one_name() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = make_block(2.0), make_block(3.0), make_block(3.5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.c(self.b(self.a(x)))

    agree(Two(), x())
