"""Python around a forward: helpers, inheritance, patches, shared modules."""

from __future__ import annotations

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


# -- Python around forward --------------------------------------------------------


def helper(x: Tensor, *, power: float = 2.0) -> Tensor:
    return x.abs() ** power + LIMIT


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def features(self, x: Tensor) -> Tensor:
        return torch.relu(self.fc(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x) + 1


class Inherits(Base):
    def features(self, x: Tensor) -> Tensor:
        return helper(super().features(x)) * TABLE


class CallsSuper(Inherits):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = super().forward(x)
        return y.detach() + x

    @property
    def width(self) -> int:
        return self.fc.out_features


class Closure(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        table = torch.randn(4)
        self.fc = nn.Linear(4, 4)

        def activation(x: Tensor) -> Tensor:
            return torch.tanh(x) * scale + table

        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.fc(x))


class Dispatch(nn.Module):
    """isinstance, dictionaries of functions, getattr, a generator, try."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.ReLU(), nn.LayerNorm(4)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x) + x if isinstance(layer, nn.Linear) else layer(x)
        name = "gelu" if x.dim() == 2 else "relu"
        total = sum(getattr(F, name)(part) for part in (x, -x))
        try:
            return {"gelu": torch.sin}[name](total)
        except KeyError:
            return total


@pytest.mark.parametrize(
    "make",
    [Inherits, CallsSuper, lambda: Closure(0.5), Dispatch],
    ids=lambda m: getattr(m, "__qualname__", str(m)),
)
def test_python_around(make: Any) -> None:
    agree(make(), torch.randn(3, 4))


def test_patched_forward() -> None:
    """A forward put on the instance is the one that counts."""

    def forward(x: Tensor) -> Tensor:
        return model.fc(x) * 3

    model = Base()
    model.forward = forward
    agree(model, torch.randn(3, 4), batches=())


def test_patched_child() -> None:
    model = nn.Sequential(Base(), nn.Linear(4, 2))
    inner = model[1].forward
    model[1].forward = lambda x: inner(x) - 1
    made = luxgen.transpile(model, (torch.randn(3, 4),))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    x = torch.randn(5, 4)
    with torch.no_grad():
        np.testing.assert_allclose(
            module.apply(x.numpy(), ps, st)[0], model(x).numpy(), rtol=1e-5, atol=1e-6
        )


class Shares(nn.Module):
    """Holds a module that is registered elsewhere, with state of its own."""

    def __init__(self, other: nn.Module) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.others = [other]

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.others[0](x))


class Sharing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.one, self.two = Shares(self.encoder), Shares(self.encoder[1])

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x)) + self.encoder(x)


class Escapes(nn.Module):
    """A child leaves a tensor in an attribute that its parent reads."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Leaves() for _ in range(2)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.layers:
            x = layer(x)
        return x, sum(layer.loss for layer in self.layers)


class Leaves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.loss: Any = None

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        self.loss = (y**2).mean()
        return y.tanh()


class SizesOut(nn.Module):
    """A child returns sizes beside a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = Patches()

    def forward(self, x: Tensor) -> Tensor:
        tokens, h, w = self.embed(x)
        return tokens.transpose(1, 2).reshape(x.shape[0], -1, h, w) * (h * w)


class Patches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, 2, 2, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, int, int]:
        x = self.proj(x)
        _, _, H, W = x.shape
        return x.flatten(2).transpose(1, 2), H, W


def test_shared_modules() -> None:
    agree(Sharing(), torch.randn(6, 4), batches=(3,))


def test_values_that_escape() -> None:
    agree(Escapes(), torch.randn(3, 4))


def test_sizes_from_a_child() -> None:
    agree(SizesOut(), torch.randn(2, 1, 6, 8), others=((torch.randn(3, 1, 10, 8),),))


def test_sizes_given_to_a_child() -> None:
    class Takes(nn.Module):
        def forward(self, x: Tensor, h: int, w: int, flag: bool = True) -> Tensor:
            return x.reshape(x.shape[0], h, w).softmax(-1) * (h + w) if flag else x

    class Gives(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.child = Takes()

        def forward(self, x: Tensor) -> Tensor:
            h, w = x.shape[-2:]
            return self.child(x.flatten(1), h, w) + self.child(x.flatten(1), h=h, w=w)

    agree(Gives(), torch.randn(2, 6, 8), others=((torch.randn(3, 5, 9),),))
