"""Control flow end to end: sizes and modes in Python, data in Python refused."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import luxgen
from tests.semantics.agree import agree

LIMIT = 3.0
TABLE = torch.arange(4.0)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


# -- sizes in Python --------------------------------------------------------------


class Attention(nn.Module):
    """Sizes in every way that people write them."""

    def __init__(self, width: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        assert C % self.heads == 0, f"{C} channels do not divide by {self.heads}"
        q, k, v = self.qkv(x).split(C, dim=2)
        q = q.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        k = k.view(B, T, self.heads, -1).transpose(1, 2)
        v = v.reshape(x.size(0), T, self.heads, v.shape[-1] // self.heads).permute(
            0, 2, 1, 3
        )
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
        mask = torch.tril(torch.ones(T, T, dtype=torch.bool))
        scores = scores.masked_fill(~mask[None, None, :T, :T], float("-inf"))
        y = F.softmax(scores, dim=-1) @ v
        return self.out(y.transpose(1, 2).contiguous().view(B, T, C))


class Positions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(64, 4)
        self.register_buffer("sines", torch.randn(1, 64, 4))

    def forward(self, x: Tensor) -> Tensor:
        T = x.size(1)
        if T > 64:
            raise ValueError(f"at most 64 steps, not {T}")
        x = (
            x
            + self.table(torch.arange(T, device=x.device))
            + self.sines[:, : x.shape[1]]
        )
        x = x * x.shape[-1] ** 0.5 / len(x) + x.numel() / x.shape[0]
        steps = torch.arange(0, T, 2).float() / max(T - 1, 1)
        return (
            x[:, ::2] + steps[None, :, None] + min(T, 100) + int(T / 2) + round(T / 3)
        )


class Heads(nn.Module):
    """A loop over heads, slices that grow, a comprehension."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 3) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        step = x.shape[-1] // len(self.layers)
        parts = [
            layer(x[..., i * step : (i + 1) * step])
            for i, layer in enumerate(self.layers)
        ]
        out = parts[0]
        for part in parts[1:]:
            out = torch.cat([out, part], dim=-1)
        return out / len(parts)


class Pads(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        H, W = x.shape[-2:]
        x = F.pad(x, (0, W % 2, 0, H % 2))
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        return x.mean(dim=list(range(1, x.dim() - 1))) * (H * W)


class Chunked(nn.Module):
    """Python lists, zip, enumerate, starred, conditional expressions, a lambda."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = lambda a, b: a * torch.sigmoid(b)
        self.scale = functools.partial(torch.mul, other=2.0)

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = x.chunk(4, dim=1)
        total = first
        for k, (a, b) in enumerate(zip(rest, rest[1:], strict=False)):
            total = self.gate(total, a) + (b if k % 2 else -b)
        return self.scale(total) if total.dim() == 2 else total


@pytest.mark.parametrize(
    ("model", "shape"),
    [(Attention, (2, 6, 8)), (Positions, (2, 6, 4)), (Heads, (3, 4)), (Pads, (3, 2, 5, 7)),
     (Chunked, (3, 8))],
)  # fmt: skip
def test_sizes_in_python(model: type[nn.Module], shape: tuple[int, ...]) -> None:
    agree(model(), torch.randn(*shape), batches=(5, 1))


@pytest.mark.parametrize("model", [Attention, Positions])
def test_length_stays_free(model: type[nn.Module]) -> None:
    width = 8 if model is Attention else 4
    agree(model(), torch.randn(2, 6, width), others=((torch.randn(3, 13, width),),))


def test_guard_on_a_size_is_checked() -> None:
    made = luxgen.transpile(Positions(), (torch.randn(2, 6, 4),))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    with pytest.raises(ValueError):
        module.apply(np.zeros((2, 65, 4), np.float32), ps, st)


class BySize(nn.Module):
    """Another way for short inputs: only the traced way is there."""

    def __init__(self) -> None:
        super().__init__()
        self.short, self.long = nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.short(x) if x.shape[1] < 4 else self.long(x).tanh()


def test_branch_on_a_size_is_checked() -> None:
    made = agree(BySize(), torch.randn(2, 6, 4))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    with pytest.raises(ValueError):
        module.apply(np.zeros((2, 3, 4), np.float32), ps, st)


# -- loops over time --------------------------------------------------------------


class OverTime(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(x.size(0), 4)
        outs = []
        for t in range(x.size(1)):
            h = self.cell(x[:, t], h)
            outs.append(h)
        return torch.stack(outs, dim=1)


def test_loop_over_time_is_fixed_and_checked() -> None:
    made = agree(OverTime(), torch.randn(2, 5, 3), batches=(4, 1))
    assert any("T" in line or "1" in line for line in made.report.fixed), (
        made.report.fixed
    )
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    with pytest.raises(ValueError, match="x"):
        module.apply(np.zeros((2, 6, 3), np.float32), ps, st)


def test_loop_over_the_batch_is_fixed_and_checked() -> None:
    class OverBatch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.fc(row) * k for k, row in enumerate(x)])

    made = agree(OverBatch(), torch.randn(3, 3), batches=())
    assert made.report.fixed
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    with pytest.raises(ValueError, match="x"):
        module.apply(np.zeros((4, 3), np.float32), ps, st)


# -- modes ------------------------------------------------------------------------


class Auxiliary(nn.Module):
    """Another structure in training, as GoogLeNet returns it."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.aux = (
            nn.Linear(4, 4),
            nn.Linear(4, 2),
            nn.Linear(4, 2),
        )

    def forward(self, x: Tensor) -> Any:
        h = torch.relu(self.body(x))
        if self.training:
            return self.head(h), self.aux(h)
        return self.head(h)


class Frozen(nn.Module):
    """Frozen BatchNorm while the rest trains."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.norm, self.other = (
            nn.Linear(4, 4),
            nn.BatchNorm1d(4),
            nn.BatchNorm1d(4),
        )

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.other(self.norm(self.fc(x)))


class Modes(nn.Module):
    """Branches on the mode, some with names that both sides set."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.training:
            left, right = self.a(x), x
            self.steps += 1
        else:
            left, right = x, self.b(x)
        x = left + right
        if not self.training:
            left, right = right, left
        y = self.a(x) * (2.0 if self.training else 3.0)
        if self.training:
            y = y + left.mean(0)
        return y, right


class Swapped(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b = x + 1, x * 2
        c = a * b
        if self.training:
            a, b = b, a
        return a, b, c


class OneForBoth(nn.Module):
    """In training one value for two names, in testing two."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.training:
            a = b = x.exp()
        else:
            a, b = x.sin(), x.cos()
        return a + 1, b * 2


class ChildModes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Modes() for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)[0].tanh()
        return x


class AuxiliaryChild(nn.Module):
    """A child whose structure depends on the mode, taken apart by its parent."""

    def __init__(self) -> None:
        super().__init__()
        self.child = Auxiliary()

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            y, aux = self.child(x)
            return y + 0.3 * aux
        return self.child(x)


class SkippedChild(nn.Module):
    """Layers that only one of the modes calls."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.child = nn.BatchNorm1d(4), Modes()

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self.child(self.norm(x))[0]
        y = self.norm(x)
        return y * 2


@pytest.mark.parametrize(
    "model",
    [
        Auxiliary,
        Frozen,
        Modes,
        Swapped,
        OneForBoth,
        ChildModes,
        AuxiliaryChild,
        SkippedChild,
    ],
)
def test_modes(model: type[nn.Module]) -> None:
    agree(model(), torch.randn(3, 4))


def test_partly_frozen_by_the_state() -> None:
    """`training` is a field of each layer's state."""
    model = nn.Sequential(nn.BatchNorm1d(4), nn.BatchNorm1d(4))
    made = luxgen.transpile(model, (torch.randn(3, 4),))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    st = module.trainmode(st)
    st = (st[0]._replace(training=False), st[1]) if type(st) is tuple else st._replace(
        **{st._fields[0]: st[0]._replace(training=False)}
    )  # fmt: skip
    x = torch.randn(5, 4)
    ours, new = module.apply(x.numpy(), ps, st)
    model.train()
    model[0].eval()
    with torch.no_grad():
        np.testing.assert_allclose(ours, model(x).numpy(), rtol=1e-5, atol=1e-6)
    held = module.state_dict(ps, new)
    np.testing.assert_array_equal(held["0.running_mean"], np.zeros(4))
    np.testing.assert_allclose(
        held["1.running_mean"], model[1].running_mean, rtol=1e-5, atol=1e-7
    )


def test_sizes_that_are_free_alone_but_not_together() -> None:
    class Rows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(5, -1).cumsum(1)

    made = luxgen.transpile(Rows(), (torch.randn(10, 5),))
    assert made.report.passed and any("=" in run for run in made.report.runs)
