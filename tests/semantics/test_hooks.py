"""Hooks, parametrizations, lazy modules and dtypes end to end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import luxgen
from luxgen.errors import InputError
from tests.semantics.agree import agree, refused


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def x(*shape: int) -> torch.Tensor:
    return torch.randn(*(shape or (3, 4)))


class Block(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.fc = nn.Linear(n, n)
        self.norm = nn.BatchNorm1d(n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.fc(x)))


# -- hooks, parametrizations, lazy modules ----------------------------------------


def doubled(module: nn.Module, args: Any, out: torch.Tensor) -> torch.Tensor:
    return out * 2


def shifted(module: nn.Module, args: Any) -> tuple[torch.Tensor]:
    return (args[0] + 1,)


class Hooked(nn.Module):
    def __init__(self, child: nn.Module) -> None:
        super().__init__()
        self.child = child

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.child(x) + 1


@pytest.mark.parametrize(
    "child", [lambda: nn.Linear(4, 4), lambda: nn.BatchNorm1d(4), lambda: Block(4)]
)
def test_hooks_count(child: Any) -> None:
    model = Hooked(child())
    model.child.register_forward_hook(doubled)
    model.child.register_forward_pre_hook(shifted)
    agree(model, x())


def test_hook_on_the_model_itself() -> None:
    model = Hooked(nn.Linear(4, 4))
    model.register_forward_hook(doubled)
    model.register_forward_pre_hook(shifted)
    agree(model, x())


def test_weight_norm() -> None:
    agree(Hooked(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))), x())
    agree(Hooked(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4), dim=1)), x())


def test_old_weight_norm() -> None:
    with pytest.warns(FutureWarning), torch.no_grad():
        layer = nn.utils.weight_norm(nn.Linear(4, 4))
    agree(Hooked(layer), x())


def test_spectral_norm() -> None:
    """One step of the power iteration in training, none in testing."""
    agree(Hooked(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))), x())


def test_orthogonal() -> None:
    layer = nn.utils.parametrizations.orthogonal(nn.Linear(4, 4), "weight", "cayley")
    agree(Hooked(layer), x())


def test_own_parametrization() -> None:
    class Symmetric(nn.Module):
        def forward(self, w: torch.Tensor) -> torch.Tensor:
            return w.triu() + w.triu(1).transpose(-1, -2)

    layer = nn.Linear(4, 4)
    nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    agree(Hooked(layer), x())


def test_initialised_lazy_module() -> None:
    model = Hooked(nn.LazyLinear(4))
    model(x())
    agree(model, x())


def test_lazy_module_without_a_first_call_is_refused() -> None:
    with pytest.raises(InputError, match="child.weight belongs to a lazy layer"):
        luxgen.transpile(Hooked(nn.LazyLinear(4)), (x(),))


def test_packed_sequence_is_refused() -> None:
    class Packs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(4, 3, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(
                x, torch.tensor([5, 4, 3]), batch_first=True
            )
            out, h = self.rnn(packed)
            return h

    sites = refused(Packs(), x(3, 5, 4))
    assert any("PackedSequence" in s.reason for s in sites)


# -- dtypes -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_parameters_compute_in_float32(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).to(dtype)
    made = luxgen.transpile(model, x().to(dtype))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    data = x().to(dtype)
    ours, _ = module.apply(data.float().numpy(), ps, st)
    assert ours.dtype == np.float32
    wide = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    wide.load_state_dict(model.state_dict())
    with torch.no_grad():
        np.testing.assert_allclose(
            ours, wide(data.float()).numpy(), rtol=2e-6, atol=1e-6
        )


def test_float64_model() -> None:
    agree(
        nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.GELU()).double(),
        x().double(),
    )


class ComplexLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4, dtype=torch.complex64))
        self.bias = nn.Parameter(torch.randn(4))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z = x.to(torch.complex64) @ self.weight
        return z, z.abs() + self.bias + z.real * z.imag + torch.angle(z)


def test_complex_parameters() -> None:
    agree(ComplexLayer(), x())
    agree(ComplexLayer(), torch.randn(3, 4, dtype=torch.complex64))


def test_spectral_convolution() -> None:
    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(2, 3, 5, dtype=torch.cfloat))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z = torch.fft.rfft(x)
            out = torch.zeros(x.shape[0], 3, z.size(-1), dtype=torch.cfloat)
            out[:, :, :5] = torch.einsum("bix,iox->box", z[:, :, :5], self.weight)
            return torch.fft.irfft(out, n=x.size(-1))

    agree(Spectral(), x(3, 2, 16))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.int16, torch.uint8])
def test_integer_inputs(dtype: torch.dtype) -> None:
    class Integers(nn.Module):
        def forward(self, n: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return (
                n * 3 - 7,
                n // 3,
                n % 3,
                n / 2,
                n * 0.5,
                n + n.float(),
                n.sum(),
                n > 2,
            )

    agree(Integers(), torch.arange(12, dtype=dtype).reshape(3, 4))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_indices(dtype: torch.dtype) -> None:
    class Looks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(9, 4, padding_idx=0)
            self.table = nn.Parameter(torch.randn(9, 4))

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.embed(ids) + self.table[ids.long()]

    agree(Looks(), torch.randint(9, (3, 5)).to(dtype))
