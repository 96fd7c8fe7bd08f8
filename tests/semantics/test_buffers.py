"""Buffers end to end: written, rebound, carried."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import luxgen
from tests.semantics.agree import agree, refused


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def x(*shape: int) -> torch.Tensor:
    return torch.randn(*(shape or (3, 4)))


# -- buffers ----------------------------------------------------------------------


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        return x * self.count


class Average(nn.Module):
    """An exponential average in training, used in testing."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
        return x - self.mean


class Rebound(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", torch.zeros(4))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x + self.last
        self.last = y.mean(0)
        self.steps = self.steps + 1
        return y * self.last


class Written(nn.Module):
    """A buffer written by index, by slice and through a view."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("queue", torch.zeros(6, 4))
        self.register_buffer("at", torch.tensor(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.queue[1:3] = x[:2]
        self.queue[-1] += x[0]
        self.queue.t()[0].mul_(0.5)
        self.at.fill_(3)
        return x @ self.queue.t() + self.at


class Transient(nn.Module):
    """Buffers that aren't persistent: one constant, one written."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.arange(4.0).exp(), persistent=False)
        self.register_buffer("seen", torch.zeros(()), persistent=False)
        self.register_buffer("kept", torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        return x * self.table * self.kept + self.seen


class PlainAttribute(nn.Module):
    """A tensor that is neither parameter nor buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.randn(4)
        self.large = torch.randn(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + self.table) @ self.large.t()


class ChildBuffer(nn.Module):
    """The parent writes its child's buffer, the child called before and after."""

    def __init__(self) -> None:
        super().__init__()
        self.child = Average()
        self.counter = Counter()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.child(x)
        self.child.mean += 1
        self.counter.count *= 2
        return self.child(y) + self.counter(x)


class BufferInLoop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Average() for _ in range(3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x) * 1.5
        return x


@pytest.mark.parametrize(
    "model",
    [
        Counter,
        Average,
        Rebound,
        Written,
        Transient,
        PlainAttribute,
        ChildBuffer,
        BufferInLoop,
    ],
)
def test_buffers(model: type[nn.Module]) -> None:
    agree(model(), x())


def test_transient_buffers_are_not_in_state_dict() -> None:
    made = luxgen.transpile(Transient(), x())
    module = made.load()
    ps, st = module.from_state_dict({"kept": np.ones(4, np.float32)})
    assert list(module.state_dict(ps, st)) == ["kept"]


def test_carried_attribute_is_refused() -> None:
    """State that isn't a buffer would be lost between calls."""

    class Remembers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory = torch.zeros(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.memory = self.memory + x.mean(0)
            return x + self.memory

    sites = refused(Remembers(), x())
    assert "memory" in str(sites[0])


def test_carried_attribute_written_in_place_is_refused() -> None:
    class Remembers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory = torch.zeros(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.memory += x.mean(0)
            return x + self.memory

    refused(Remembers(), x())


def test_parameter_written_in_forward_is_refused() -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                self.weight.mul_(0.9)
            return x * self.weight

    sites = refused(Writes(), x())
    assert "parameter" in sites[0].reason


# -- buffers of modules called twice, or written by others ------------------------


class Scaled(nn.Module):
    """A counter behind a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.fc = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        return self.fc(x) * self.count


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scaled = Scaled()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scaled(self.scaled(x).tanh())


class Reads(nn.Module):
    """Reads the counter that its child wrote."""

    def __init__(self, scaled: nn.Module) -> None:
        super().__init__()
        self.scaled = scaled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scaled(x).tanh() + self.scaled.count


class Levels(nn.Module):
    """Called twice at one level, in loops at another, read from above."""

    def __init__(self) -> None:
        super().__init__()
        self.one = Reads(Scaled())
        self.many = nn.ModuleList([Reads(Scaled()) for _ in range(3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.one(self.one(x))
        for each in self.many:
            x = each(x)
        for each in self.many:
            x = each(x) + each.scaled.count
        return x * self.one.scaled.count


class TiedCounter(nn.Module):
    """One counter below two parents."""

    def __init__(self) -> None:
        super().__init__()
        scaled = Scaled()
        self.a, self.b, self.c = Reads(scaled), Reads(scaled), scaled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(x)) + self.c(x)


class ParentRebinds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scaled = Scaled()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.scaled.count = self.scaled.count + 5
        y = self.scaled(x)
        self.scaled.count = self.scaled.count * 2
        return y


class LateConstant(nn.Module):
    """A table that is made at the first call."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", None, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.table is None:
            self.table = torch.arange(4.0).exp()
        return x - self.table


class Registers(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.register_buffer("late", torch.arange(4.0) * 2, persistent=False)
        return x * self.late


class Cached(nn.Module):
    """A table that grows with the length, in plain attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.table: torch.Tensor | None = None
        self.length = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.table is None or self.length < x.shape[1]:
            self.length = x.shape[1]
            self.table = torch.arange(self.length).float().cos()
        return x * self.table[: x.shape[1]]


class Notes(nn.Module):
    """Attributes that forward writes and never reads."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: torch.Tensor | None = None
        self.calls, self.history = 0, list[torch.Tensor]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.weights = x.softmax(-1)
        self.calls += 1
        self.history.append(self.weights)
        return self.weights * 2


@pytest.mark.parametrize(
    "model",
    [
        Twice,
        Levels,
        TiedCounter,
        ParentRebinds,
        LateConstant,
        Registers,
        Cached,
        Notes,
    ],
)
def test_buffers_between_modules(model: type[nn.Module]) -> None:
    agree(model(), x(5, 4), batches=(3,))


class LateBuffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.mean is None:
            self.mean = x.mean(0)
        return x - self.mean


class Grows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("cache", torch.zeros(0, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.cache = torch.cat([self.cache, x[:1]])
        return x + self.cache.sum(0)


class ChangesDtype(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("level", torch.tensor(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.level = self.level + 0.5
        return x + self.level


class Unties(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("a", torch.zeros(4))
        self.register_buffer("b", self.a)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.a = self.a + x.mean(0)
        return x + self.b


class Steps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.step = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.step += 1
        return x * self.step


class Keys(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.keys: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.keys.append(x)
        return torch.cat(self.keys).sum(0)


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (LateBuffer, "self.mean = x.mean(0)"),
        (Grows, "self.cache = torch.cat([self.cache, x[:1]])"),
        (ChangesDtype, "self.level = self.level + 0.5"),
        (Unties, "self.a = self.a + x.mean(0)"),
        (Steps, "self.step += 1"),
        (Keys, "self.keys.append(x)"),
    ],
)
def test_state_that_st_cannot_hold_is_refused(
    model: type[nn.Module], line: str
) -> None:
    assert line in [s.source.strip() for s in refused(model(), x())]
