"""Data that Python looks at: every place is refused, or it steers nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import luxgen
from tests.semantics.agree import agree, refused

LIMIT = 3.0
TABLE = torch.arange(4.0)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def features(self, x: Tensor) -> Tensor:
        return torch.relu(self.fc(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x) + 1


# -- data in Python: refused, every place -----------------------------------------


class Data(nn.Module):
    """Python that looks at the data, in many ways; each line is a place."""

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:  # place: if
            x = x + 1
        n = int(x.abs().sum())  # place: int
        y = x * x.mean().item()  # place: item
        if bool((x > 9).any()):  # place: bool
            y = y * 2
        z = float(x.max())  # place: float
        rows = x.tolist()  # place: tolist
        k = x.argmax().item() % 4  # place: argmax
        w = x.detach().numpy().sum()  # place: numpy
        return y + n + z + rows[0][0] + k + float(w)


def test_every_place_is_listed() -> None:
    sites = refused(Data(), torch.randn(3, 4))
    with open(__file__) as file:
        lines = file.read().splitlines()
    wanted = {
        k
        for k, line in enumerate(lines, 1)
        if "# place: " in line and "find" not in line
    }
    wanted -= {k for k in wanted if "lines" in lines[k - 1]}
    assert {s.line for s in sites} >= wanted, str(luxgen.UnsupportedError(sites))
    for site in sites:
        assert site.file.endswith("test_data_in_python.py")
        assert site.source == lines[site.line - 1]
        shown = str(site).splitlines()
        assert shown[1].strip() == site.source.strip() and "^" in shown[2]
        assert site.suggestion


class UntilSmall(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        error = x.abs().max()
        while error > 0.1:
            x = x * 0.5
            error = x.abs().max()
        return x


class InList(nn.Module):
    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        return x * 2 if n in [1, 2] else x


class AsIndex(nn.Module):
    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        return x[:, : int(n)] if n.item() else x


class AsRange(nn.Module):
    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        for _ in range(n):
            x = x * 2
        return x


class Formats(nn.Module):
    """A tensor's value only in a message: that steers nothing."""

    def forward(self, x: Tensor) -> Tensor:
        assert torch.isfinite(x).all(), f"not finite: {x}"
        if (x > 1e9).any():
            raise ValueError(f"too large: {x.max()}")
        assert x.shape[1] == 4
        return x * 2


@pytest.mark.parametrize("model", [UntilSmall])
def test_while_on_data_is_refused(model: type[nn.Module]) -> None:
    sites = refused(model(), torch.randn(3, 4) + 2)
    assert any("error > 0.1" in s.source for s in sites)


@pytest.mark.parametrize("model", [InList, AsIndex, AsRange])
def test_data_as_a_python_number_is_refused(model: type[nn.Module]) -> None:
    refused(model(), torch.randn(3, 4), torch.tensor(2))


def test_assertions_steer_nothing() -> None:
    agree(Formats(), torch.randn(3, 4))


def test_distributions() -> None:
    """torch.distributions checks its arguments, which steers nothing."""

    class Policy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean, self.log_std = nn.Linear(4, 2), nn.Parameter(torch.zeros(2))

        def forward(self, x: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            normal = torch.distributions.Normal(self.mean(x), self.log_std.exp())
            return (
                normal.log_prob(action).sum(-1),
                normal.entropy().sum(-1),
                normal.mean,
            )

    agree(Policy(), torch.randn(3, 4), torch.randn(3, 2))


def test_random_python_is_refused() -> None:
    import random

    class Drops(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if self.training and random.random() < 0.5:
                return x
            return x * 2

    sites = refused(Drops(), torch.randn(3, 4))
    assert "random" in str(sites[0])


def test_random_numpy_is_refused() -> None:
    class Drops(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * float(np.random.rand())

    assert "random" in str(refused(Drops(), torch.randn(3, 4))[0])


def test_constant_tensors_may_steer() -> None:
    """A buffer's or a constant's values are the same at every call."""

    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sizes = torch.tensor([1, 3])

        def forward(self, x: Tensor) -> Tensor:
            a, b = x.split(self.sizes.tolist(), dim=1)
            if torch.arange(4).sum() > 3:
                a = a * 2
            return torch.cat([b, a], 1)

    agree(Fixed(), torch.randn(3, 4))


def test_buffer_read_by_python_is_refused() -> None:
    """A buffer may be another one in another state."""

    class ReadsBuffer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("level", torch.tensor(2.0))

        def forward(self, x: Tensor) -> Tensor:
            return x * 2 if self.level > 1 else x

    refused(ReadsBuffer(), torch.randn(3, 4))


def test_exception_of_the_model_is_its_own() -> None:
    class Raises(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("always")

    with pytest.raises(Exception, match="always"):
        luxgen.transpile(Raises(), (torch.randn(3, 4),))


def test_custom_autograd_function() -> None:
    """Its forward is what counts."""

    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 2 + 1

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad

    class Uses(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Double.apply(x) + x

    agree(Uses(), torch.randn(3, 4))


def test_checkpoint() -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Base()

        def forward(self, x: Tensor) -> Tensor:
            return torch.utils.checkpoint.checkpoint(self.block, x, use_reentrant=False)

    agree(Checkpointed(), torch.randn(3, 4))


def test_scripted_function() -> None:
    @torch.jit.ignore
    def inner(x: Tensor) -> Tensor:
        return x + 1

    class Uses(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return inner(x) * 2

    agree(Uses(), torch.randn(3, 4))


def test_vmap_or_refusal() -> None:
    class Maps(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.vmap(lambda row: (row * row).sum())(x)

    try:
        agree(Maps(), torch.randn(3, 4))
    except luxgen.UnsupportedError as error:
        assert error.sites
