"""Normalisation end to end: results, running statistics, modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import luxgen
from tests.semantics.agree import agree


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def shaken(model: nn.Module) -> nn.Module:
    """Parameters and statistics away from their initial 0 and 1."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) * 0.5)
            elif "tracked" in name:
                tensor.add_(3)
    return model


LAYERS = {
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), (5, 4)),
    "BatchNorm1d 3-d": (lambda: nn.BatchNorm1d(4), (5, 4, 3)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), (2, 4, 3, 3)),
    "BatchNorm3d": (lambda: nn.BatchNorm3d(2), (2, 2, 2, 3, 2)),
    "momentum": (lambda: nn.BatchNorm1d(4, momentum=0.3, eps=1e-2), (5, 4)),
    "cumulative": (lambda: nn.BatchNorm1d(4, momentum=None), (5, 4)),
    "momentum 0": (lambda: nn.BatchNorm1d(4, momentum=0.0), (5, 4)),
    "no affine": (lambda: nn.BatchNorm2d(4, affine=False), (2, 4, 3, 3)),
    "no statistics": (lambda: nn.BatchNorm1d(4, track_running_stats=False), (5, 4)),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(4), (2, 4, 5)),
    "InstanceNorm2d affine": (lambda: nn.InstanceNorm2d(4, affine=True), (2, 4, 3, 3)),
    "InstanceNorm tracked": (
        lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True), (2, 4, 3, 3)),
    "InstanceNorm cumulative": (
        lambda: nn.InstanceNorm1d(4, momentum=None, track_running_stats=True), (2, 4, 5)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4, eps=1e-2), (2, 4, 3, 3)),
    "GroupNorm no affine": (lambda: nn.GroupNorm(4, 4, affine=False), (2, 4, 3)),
    "LayerNorm": (lambda: nn.LayerNorm(4, eps=1e-2), (2, 3, 4)),
    "LayerNorm 2 dims": (lambda: nn.LayerNorm((3, 4)), (2, 3, 4)),
    "LayerNorm no bias": (lambda: nn.LayerNorm(4, bias=False), (2, 3, 4)),
    "LayerNorm no affine": (lambda: nn.LayerNorm(4, elementwise_affine=False), (2, 4)),
    "RMSNorm": (lambda: nn.RMSNorm(4), (2, 3, 4)),
    "RMSNorm eps": (lambda: nn.RMSNorm((3, 4), eps=1e-2, elementwise_affine=False), (2, 3, 4)),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3), (2, 4, 3, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    make, shape = LAYERS[name]
    agree(nn.Sequential(shaken(make())), torch.randn(*shape) + 0.5, batches=(3,))


def test_one_value_per_channel_raises_in_training() -> None:
    made = luxgen.transpile(nn.BatchNorm1d(4), (torch.randn(3, 4),))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    one = np.ones((1, 4), np.float32)
    module.apply(one, ps, module.testmode(st))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        module.apply(one, ps, module.trainmode(st))


def test_rms_norm_epsilon_is_the_dtypes() -> None:
    agree(nn.Sequential(nn.RMSNorm(4)), torch.randn(3, 4) * 1e-4, modes=("eval",))
    agree(
        nn.Sequential(nn.RMSNorm(4)).double(),
        torch.randn(3, 4).double() * 1e-8,
        modes=("eval",),
    )


class Functional(nn.Module):
    """F's own forms with buffers that the model keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.rand(4)),
            nn.Parameter(torch.rand(4)),
        )
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("var", torch.ones(4))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = F.batch_norm(
            x, self.mean, self.var, self.weight, self.bias, self.training, 0.2
        )
        z = F.batch_norm(x, None, None, training=True)
        w = F.batch_norm(x, self.mean, self.var, training=False)
        return (
            y,
            z,
            w,
            F.layer_norm(x, (4,), self.weight),
            F.group_norm(x, 2, self.weight, self.bias),
        )


def test_functional_forms() -> None:
    agree(shaken(Functional()), torch.randn(5, 4), batches=(3,))


class FunctionalInstance(nn.Module):
    """Statistics that F.instance_norm keeps, in testing as well."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("var", torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.instance_norm(x, self.mean, self.var, momentum=0.3)
        return y


def test_functional_instance_norm() -> None:
    agree(shaken(FunctionalInstance()), torch.randn(5, 4, 3), batches=(3,))


class OwnBatchNorm(nn.Module):
    """Written out by hand, as many do."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.rand(4)), nn.Parameter(torch.rand(4))
        self.register_buffer("moving_mean", torch.zeros(4))
        self.register_buffer("moving_var", torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            mean, var = x.mean(0), x.var(0, unbiased=False)
            n = x.shape[0]
            with torch.no_grad():
                self.moving_mean = 0.9 * self.moving_mean + 0.1 * mean
                self.moving_var.lerp_(var * n / (n - 1), 0.1)
        else:
            mean, var = self.moving_mean, self.moving_var
        return (x - mean) / torch.sqrt(var + 1e-5) * self.gamma + self.beta


def test_written_out() -> None:
    agree(OwnBatchNorm(), torch.randn(5, 4), batches=(3,))


class FrozenBatchNorm(nn.Module):
    """torchvision's: four buffers, no parameters."""

    def __init__(self) -> None:
        super().__init__()
        for name, value in (
            ("weight", 1.0),
            ("bias", 0.0),
            ("running_mean", 0.0),
            ("running_var", 1.0),
        ):
            self.register_buffer(name, torch.full((4,), value))

    def forward(self, x: Tensor) -> Tensor:
        scale = (
            self.weight.reshape(1, -1, 1, 1)
            * (self.running_var.reshape(1, -1, 1, 1) + 1e-5).rsqrt()
        )
        return (
            x * scale
            + self.bias.reshape(1, -1, 1, 1)
            - self.running_mean.reshape(1, -1, 1, 1) * scale
        )


def test_frozen_batch_norm() -> None:
    agree(
        nn.Sequential(nn.Conv2d(2, 4, 1), shaken(FrozenBatchNorm())),
        torch.randn(2, 2, 3, 3),
    )


class Layers(nn.Module):
    """Many norms in a list: the state of each is its own."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Sequential(nn.Linear(4, 4), make(), nn.ReLU()) for _ in range(3)]
        )
        self.last = make()

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x)
        for layer in self.layers:
            x = layer[1](x)
        return self.last(x)


def test_loops_over_norms() -> None:
    agree(Layers(lambda: nn.BatchNorm1d(4)), torch.randn(6, 4), batches=(4,))


def test_spectral_norm_steps_in_training_only() -> None:
    layer = nn.utils.parametrizations.spectral_norm(
        nn.Conv2d(2, 3, 3), n_power_iterations=2
    )
    agree(nn.Sequential(layer), torch.randn(2, 2, 5, 5))


def test_old_spectral_norm() -> None:
    layer = nn.utils.spectral_norm(nn.Linear(4, 3))
    with torch.no_grad():
        layer(torch.randn(2, 4))
    try:
        agree(nn.Sequential(layer), torch.randn(3, 4))
    except luxgen.UnsupportedError as error:
        assert error.sites


def test_normalize() -> None:
    class Normalizes(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return (F.normalize(x), F.normalize(x, p=1, dim=0), F.normalize(x * 0), x / x.norm(dim=-1, keepdim=True),
                    F.cosine_similarity(x, x.flip(0)), (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True))  # fmt: skip

    agree(Normalizes(), torch.randn(3, 4), modes=("eval",))


def test_weight_standardisation() -> None:
    """A convolution whose forward normalises its own weight."""

    class Standardised(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            w = self.weight
            w = (w - w.mean((1, 2, 3), keepdim=True)) / (
                w.std((1, 2, 3), keepdim=True) + 1e-5
            )
            return self._conv_forward(x, w, self.bias)

    agree(
        nn.Sequential(Standardised(2, 3, 3, padding=1), nn.GroupNorm(3, 3)),
        torch.randn(2, 2, 4, 4),
    )


def test_any_of_many(names: Any = None) -> None:
    """All layers in one model, so that their helpers meet."""

    class All(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (
                nn.BatchNorm2d(4),
                nn.InstanceNorm2d(4, track_running_stats=True),
                nn.GroupNorm(2, 4),
            )
            self.d, self.e = nn.LayerNorm(3), nn.RMSNorm(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.e(self.d(self.c(self.b(self.a(x) + x) + x)) + x)

    agree(All(), torch.randn(3, 4, 3, 3))
