"""TrainState and its steps against torch.optim, over both kinds of layer."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import luxgen
from luxgen import FromTorchAdaptor, InputError, TorchLayer
from tests.interop.close import normals

OPTIMISERS: dict[str, tuple[Any, Callable[[Any], torch.optim.Optimizer]]] = {
    "sgd": (
        luxgen.SGD(lr=0.1, weight_decay=0.01),
        lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.01),
    ),
    "momentum": (
        luxgen.SGD(lr=0.05, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    ),
    "adam": (
        luxgen.Adam(lr=0.05, betas=(0.8, 0.9), weight_decay=0.1),
        lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.9), weight_decay=0.1),
    ),
    "adamw": (luxgen.AdamW(lr=0.05), lambda p: torch.optim.AdamW(p, lr=0.05)),
}
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "bce_with_logits": F.binary_cross_entropy_with_logits,
    "cross_entropy": F.cross_entropy,
    "huber": F.huber_loss,
    "l1": F.l1_loss,
    "mse": F.mse_loss,
    "nll": F.nll_loss,
    "smooth_l1": F.smooth_l1_loss,
}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))


@pytest.fixture(scope="module", params=["numpy", "torch"])
def layer(request: pytest.FixtureRequest, model: nn.Module) -> luxgen.Layer:
    if request.param == "torch":
        return TorchLayer(model)
    return FromTorchAdaptor(preserve_ps_st=True)(model)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_steps_follow_torch(layer: luxgen.Layer, model: nn.Module, name: str) -> None:
    ours, theirs = OPTIMISERS[name]
    ts = luxgen.TrainState(layer, *luxgen.setup(0, layer), ours)
    twin = copy.deepcopy(model)
    optimizer = theirs(twin.parameters())
    for seed in range(8):
        x, target = normals(6, 2, seed=seed), normals(6, 3, seed=seed + 100)
        grads, loss, stats, ts = luxgen.single_train_step(ts, "mse", (x, target))
        optimizer.zero_grad()
        truth = F.mse_loss(twin(torch.from_numpy(x)), torch.from_numpy(target))
        truth.backward()
        flat = torch.cat([p.grad.reshape(-1) for p in twin.parameters()])
        np.testing.assert_allclose(layer.ravel(grads), flat, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(loss, truth.item(), rtol=1e-5)
        optimizer.step()
        assert stats == {}
    assert ts.step == 8
    for name, tensor in twin.state_dict().items():
        held = layer.state_dict(ts.parameters, ts.states)[name]
        np.testing.assert_allclose(held, tensor.numpy(), rtol=1e-4, atol=1e-5)


def test_every_loss_has_a_test() -> None:
    assert {*LOSSES, "none"} == set(luxgen.LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_losses(layer: luxgen.Layer, model: nn.Module, name: str) -> None:
    x = normals(6, 2)
    target: Any = normals(6, 3, seed=1)
    if name in ("cross_entropy", "nll"):
        target = np.array([0, 2, 1, 1, 0, 2])
    elif name == "bce_with_logits":
        target = (target > 0).astype(np.float32)
    ts = luxgen.TrainState(layer, *luxgen.setup(0, layer), luxgen.SGD())
    grads, loss, _, same = luxgen.compute_gradients(ts, name, (x, target))
    twin = copy.deepcopy(model)
    truth = LOSSES[name](twin(torch.from_numpy(x)), torch.from_numpy(target))
    truth.backward()
    flat = torch.cat([p.grad.reshape(-1) for p in twin.parameters()])
    np.testing.assert_allclose(loss, truth.item(), rtol=1e-5)
    np.testing.assert_allclose(layer.ravel(grads), flat, rtol=1e-4, atol=1e-6)
    assert same.parameters is ts.parameters and same.step == 0


def test_a_loss_of_ones_own_with_statistics(layer: luxgen.Layer) -> None:
    def loss(y: Any, target: Any) -> Any:
        return np.sum(y * target), target, {"largest": y.max()}

    ps, st = luxgen.setup(0, layer)
    x, target = normals(6, 2), normals(6, 3, seed=1)
    ts = luxgen.TrainState(layer, ps, st, luxgen.SGD(lr=1.0))
    grads, value, stats, ts = luxgen.single_train_step(ts, loss, (x, target))
    y, _, pullback = layer.vjp(x, ps, st)
    assert value == np.sum(y * target) and stats == {"largest": y.max()}
    np.testing.assert_array_equal(layer.ravel(grads), layer.ravel(pullback(target)[-1]))
    np.testing.assert_allclose(
        layer.ravel(ts.parameters), layer.ravel(ps) - layer.ravel(grads), rtol=1e-6
    )


def test_a_step_changes_nothing_in_place(layer: luxgen.Layer) -> None:
    ts = luxgen.TrainState(layer, *luxgen.setup(0, layer), luxgen.Adam())
    before = copy.deepcopy((ts.parameters, ts.states, ts.optimizer_state))
    data = (normals(6, 2), normals(6, 3, seed=1))
    *_, new = luxgen.single_train_step(ts, "mse", data)
    np.testing.assert_equal((ts.parameters, ts.states, ts.optimizer_state), before)
    assert (ts.step, new.step) == (0, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        ts.step = 5  # type: ignore[misc]


def test_steps_are_gradients_and_their_application(layer: luxgen.Layer) -> None:
    ts = luxgen.TrainState(layer, *luxgen.setup(0, layer), luxgen.Adam())
    data = (normals(6, 2), normals(6, 3, seed=1))
    *_, whole = luxgen.single_train_step(ts, "mse", data)
    grads, _, _, ts = luxgen.compute_gradients(ts, "mse", data)
    ts = luxgen.apply_gradients(ts, grads)
    np.testing.assert_equal(ts.parameters, whole.parameters)
    assert ts.step == 1


def test_several_inputs() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(2, 3), nn.Linear(4, 3)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return self.a(a) + self.b(b)

    data = ((normals(5, 2), normals(5, 4, seed=1)), normals(5, 3, seed=2))
    model = Sum()
    losses = []
    for layer in (
        FromTorchAdaptor(preserve_ps_st=True)(model, *data[0]),
        TorchLayer(model),
    ):
        ts = luxgen.TrainState(layer, *luxgen.setup(0, layer), luxgen.SGD(lr=0.1))
        for _ in range(3):
            _, loss, _, ts = luxgen.single_train_step(ts, "mse", data)
        losses.append(loss)
    np.testing.assert_allclose(*losses, rtol=1e-5)
    assert losses[0] < 10


def test_a_layer_that_returns_its_loss() -> None:
    class Loss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return (self.linear(x) ** 2).mean()

    layer = TorchLayer(Loss())
    ts = luxgen.TrainState(layer, *luxgen.setup(0, layer), luxgen.SGD(lr=0.1))
    found = []
    for _ in range(5):
        _, loss, _, ts = luxgen.single_train_step(ts, "none", (normals(5, 2), None))
        found.append(float(loss))
    assert found == sorted(found, reverse=True) and found[-1] < found[0]


@pytest.mark.parametrize(
    "loss, message",
    [
        ("msw", "no loss 'msw'; there are "),
        (lambda y, target: 1.0, r"returns \(loss, dy\)"),
    ],
)
def test_what_isnt_a_loss(layer: luxgen.Layer, loss: Any, message: str) -> None:
    ts = luxgen.TrainState(layer, *luxgen.setup(0, layer), luxgen.SGD())
    with pytest.raises(InputError, match=message):
        luxgen.single_train_step(ts, loss, (normals(6, 2), normals(6, 3)))


def test_a_named_loss_of_several_outputs() -> None:
    layer = TorchLayer(nn.LSTM(2, 3))
    ts = luxgen.TrainState(layer, *luxgen.setup(0, layer), luxgen.SGD())
    with pytest.raises(InputError, match="mse takes one array, .* returns a tuple"):
        luxgen.single_train_step(ts, "mse", (normals(4, 5, 2), normals(4, 5, 3)))


@pytest.mark.parametrize("make", [FromTorchAdaptor(preserve_ps_st=True), TorchLayer])
def test_the_state_goes_along(make: Any) -> None:
    """Running statistics after three steps are those of torch."""
    torch.manual_seed(0)
    twin = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    layer = make(twin)
    ts = luxgen.TrainState(layer, *luxgen.setup(0, layer), luxgen.SGD(lr=0.1))
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    for seed in range(3):
        x, target = normals(6, 2, seed=seed), normals(6, 3, seed=seed + 100)
        *_, ts = luxgen.single_train_step(ts, "mse", (x, target))
        optimizer.zero_grad()
        F.mse_loss(twin(torch.from_numpy(x)), torch.from_numpy(target)).backward()
        optimizer.step()
    held = layer.state_dict(ts.parameters, ts.states)
    assert held["1.num_batches_tracked"] == 3
    for name, buffer in twin.named_buffers():
        np.testing.assert_allclose(held[name], buffer, rtol=1e-4, atol=1e-5)
