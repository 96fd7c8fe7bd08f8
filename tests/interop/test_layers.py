"""What every layer answers: lengths, sizes, modes, state by key, a stateful layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import luxgen
from luxgen import FromTorchAdaptor, InputError, TorchLayer
from tests.interop.close import normals, same_gradients

KEEP = FromTorchAdaptor(preserve_ps_st=True)


class Net(nn.Module):
    """Two normalisations with dropout, below each other."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        self.drop = nn.Dropout(0.5)
        self.last = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(self.first(x)))


@pytest.fixture(scope="module")
def net() -> luxgen.NumpyLayer:
    return KEEP(Net(), normals(8, 2))


@pytest.fixture(scope="module")
def both() -> list[luxgen.Layer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))
    return [KEEP(model), TorchLayer(model)]


def test_setup_by_seed_and_by_generator() -> None:
    fresh = FromTorchAdaptor()(nn.Linear(2, 3))
    torch.manual_seed(7)
    theirs = nn.Linear(2, 3).weight.detach().numpy()
    np.testing.assert_array_equal(luxgen.setup(7, fresh)[0].weight, theirs)
    rng = np.random.default_rng(7)
    np.testing.assert_equal(luxgen.setup(np.int64(7), fresh), luxgen.setup(7, fresh))
    with pytest.raises(TypeError):
        luxgen.setup(0.5, fresh)  # type: ignore[arg-type]
    first, second = (luxgen.setup(rng, fresh)[0].weight for _ in range(2))
    assert not np.array_equal(first, second)


def test_lengths(net: luxgen.NumpyLayer) -> None:
    ps, st = luxgen.setup(0, net)
    assert luxgen.parameterlength(net) == luxgen.parameterlength(ps) == 9 + 6 + 6
    # two BatchNorms of 3 + 3 + 1 numbers and a mode; dropout's seed, step and mode
    assert luxgen.statelength(net) == luxgen.statelength(st) == 2 * (7 + 1) + 3


def test_outputsize_leaves_out_the_batch() -> None:
    layer = KEEP(nn.Conv2d(1, 4, 3), normals(2, 1, 8, 8))
    assert luxgen.outputsize(layer, (5, 1, 8, 10)) == (4, 6, 8)
    assert luxgen.outputsize(layer, normals(5, 1, 8, 10)) == (4, 6, 8)


def test_outputsize_of_integers_and_of_several_outputs() -> None:
    class Parts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(5, 4)

        def forward(self, index: Tensor) -> dict[str, Tensor]:
            y = self.table(index)
            return {"all": y, "sum": y.sum((1, 2))}

    layer = KEEP(Parts(), np.zeros((2, 3), np.int64))
    assert luxgen.outputsize(layer, (6, 7)) == {"all": (7, 4), "sum": (6,)}


def test_outputsize_is_found_in_test_mode(net: luxgen.NumpyLayer) -> None:
    """A batch of 1 has no variance, so BatchNorm refuses it in training."""
    assert luxgen.outputsize(net, (1, 2)) == (3,)


def test_modes_are_those_of_the_module(net: luxgen.NumpyLayer) -> None:
    _, st = luxgen.setup(0, net)
    assert modes(st) == [True] * 3
    assert modes(luxgen.testmode(st)) == [False] * 3
    for ours, theirs in (
        (luxgen.testmode(st), net.module.testmode(st)),
        (luxgen.trainmode(luxgen.testmode(st)), st),
    ):
        assert luxgen.statelength(ours) == luxgen.statelength(theirs)
        assert type(ours) is type(theirs)
        np.testing.assert_equal(ours, theirs)


def test_modes_of_a_state_without_any() -> None:
    layer = FromTorchAdaptor()(nn.Linear(2, 3))
    _, st = luxgen.setup(0, layer)
    assert luxgen.testmode(st) == st == luxgen.trainmode(st)


def test_update_state(net: luxgen.NumpyLayer) -> None:
    ps, st = luxgen.setup(0, net)
    assert luxgen.update_state(st, "step", 9).drop.step == 9
    assert modes(luxgen.update_state(st, "training", False)) == [False] * 3
    zeros = np.zeros(3, np.float32)
    still = luxgen.update_state(st, "running_mean", zeros, layer=["first", "last"])
    assert still.first[1].running_mean is zeros is still.last.running_mean


@pytest.mark.parametrize("path", ["last", "first.1", ["last", "first"]])
def test_update_state_of_some_layers(net: luxgen.NumpyLayer, path: Any) -> None:
    _, st = luxgen.setup(0, net)
    found = luxgen.update_state(st, "training", False, layer=path)
    chosen = [path] if isinstance(path, str) else path
    assert found.last.training is ("last" not in chosen)
    assert found.first[1].training is not any(p.startswith("first") for p in chosen)
    assert found.drop.training


@pytest.mark.parametrize(
    "key, layer, message",
    [
        ("trainign", None, "no field 'trainign' in the state"),
        ("step", "last", "no field 'step' in last"),
        ("training", "lst", "no 'lst': the tree has .*first, .*last"),
        ("training", "last.no", "no 'last.no': last has running_mean"),
    ],
)
def test_update_state_of_what_isnt_there(
    net: luxgen.NumpyLayer, key: str, layer: str | None, message: str
) -> None:
    _, st = luxgen.setup(0, net)
    with pytest.raises(InputError, match=message):
        luxgen.update_state(st, key, False, layer=layer)


def test_stateful_layer(net: luxgen.NumpyLayer) -> None:
    ps, st = luxgen.setup(0, net)
    s = luxgen.StatefulLayer(net, ps, st)
    for seed in range(3):
        x = normals(8, 2, seed=seed)
        y, st = net(x, ps, st)
        np.testing.assert_array_equal(s(x), y)
        np.testing.assert_equal(s.st, st)
    assert s.st.last.num_batches_tracked == 3
    still = luxgen.testmode(s)
    np.testing.assert_array_equal(still(x), net(x, ps, luxgen.testmode(st))[0])
    assert s.st.last.training and not still.st.last.training
    assert luxgen.parameterlength(s) == luxgen.parameterlength(net)
    assert luxgen.statelength(s) == luxgen.statelength(st)


def test_stateful_layer_with_other_parameters(both: list[luxgen.Layer]) -> None:
    x = normals(4, 2)
    for layer in both:
        ps, st = luxgen.setup(0, layer)
        other = layer.unravel(layer.ravel(ps) * 2)
        s = luxgen.StatefulLayer(layer, None, st)
        np.testing.assert_array_equal(s(x, ps=other), layer(x, other, st)[0])
        s = luxgen.StatefulLayer(layer, other, st)
        y, pullback = s.vjp(x, ps=ps)
        np.testing.assert_array_equal(y, layer(x, ps, st)[0])
        dx, dps = pullback(np.ones_like(y))
        theirs = layer.vjp(x, ps, st)[2](np.ones_like(y))
        np.testing.assert_array_equal(dx, theirs[0])
        np.testing.assert_equal(dps, theirs[1])


@pytest.mark.parametrize("which", [0, 1])
def test_gradients_of_both_kinds(both: list[luxgen.Layer], which: int) -> None:
    layer = both[which]
    torch_layer = both[1]
    assert isinstance(torch_layer, TorchLayer)
    ps, st = luxgen.setup(0, layer)
    x = normals(5, 2)
    same_gradients(layer, ps, st, torch_layer.module, x, training=True)


LAYERS = {
    "batch norm": (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), (8, 2)),
    "layer norm": (nn.Sequential(nn.Linear(2, 8), nn.LayerNorm(8)), (8, 2)),
    "cnn": (
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        (4, 1, 8, 8),
    ),
    "rnn cell": (nn.RNNCell(3, 4), (5, 3)),
    "gru cell": (nn.GRUCell(3, 4), (5, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_what_lux_cant_convert(name: str) -> None:
    model, shape = LAYERS[name]
    x = normals(*shape)
    layer = KEEP(model, x)
    ps, st = luxgen.setup(0, layer)
    for training in (True, False):
        same_gradients(layer, ps, st, model, x, training=training)


@pytest.mark.parametrize("make", [KEEP, TorchLayer])
def test_gradients_through_dropout_use_its_mask(make: Any) -> None:
    layer = make(nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5)))
    ps, st = luxgen.setup(0, layer)
    x = normals(6, 4)
    y, _, pullback = layer.vjp(x, ps, st)
    np.testing.assert_array_equal(layer(x, ps, st)[0], y)
    held = layer.state_dict(pullback(np.ones_like(y))[-1], st)
    np.testing.assert_allclose(held["0.bias"], 2 * (y != 0).sum(0), rtol=1e-6)


@pytest.mark.parametrize("which", [0, 1])
def test_value_and_grad(both: list[luxgen.Layer], which: int) -> None:
    layer = both[which]
    x, target = normals(5, 2), normals(5, 2, seed=1)
    ps, st = luxgen.setup(0, layer)
    (loss, _), dps = layer.value_and_grad(x, target, ps, st, loss="mse")
    y, _, pullback = layer.vjp(x, ps, st)
    np.testing.assert_allclose(loss, np.mean((y - target) ** 2), rtol=1e-6)
    wanted = pullback((2 * (y - target) / y.size).astype(np.float32))[-1]
    np.testing.assert_allclose(layer.ravel(dps), layer.ravel(wanted), rtol=1e-6)


def test_value_and_grad_by_the_modules_own_loss(both: list[luxgen.Layer]) -> None:
    torch_layer = both[1]
    assert isinstance(torch_layer, TorchLayer)
    x, target = normals(5, 2), normals(5, 2, seed=1)
    made = luxgen.transpile(torch_layer.module, torch.from_numpy(x), loss="mse")
    layer = luxgen.NumpyLayer(made.load(), weights=made.weights)
    ps, st = luxgen.setup(0, layer)
    (own, _), d_own = layer.value_and_grad(x, target, ps, st)
    (loss, _), dps = layer.value_and_grad(x, target, ps, st, loss="mse")
    assert own == loss
    np.testing.assert_allclose(layer.ravel(d_own), layer.ravel(dps), rtol=1e-6)
    with pytest.raises(InputError, match="without a loss: pass loss=NAME"):
        both[0].value_and_grad(x, target, ps, st)  # type: ignore[call-arg]


@pytest.mark.parametrize("which", [0, 1])
def test_ravel(both: list[luxgen.Layer], which: int) -> None:
    layer = both[which]
    ps, _ = luxgen.setup(0, layer)
    vec = layer.ravel(ps)
    assert vec.shape == (layer.parameterlength(),)
    np.testing.assert_array_equal(vec, both[0].ravel(luxgen.setup(0, both[0])[0]))
    again = layer.unravel(vec)
    np.testing.assert_equal(again, ps)
    vec[0] = 99
    assert layer.ravel(again)[0] == 99
    with pytest.raises(InputError, match=r"must have shape \(17,\), not \(16,\)"):
        layer.unravel(vec[1:])


def test_a_layer_without_gradients_says_why() -> None:
    made = luxgen.transpile(nn.Linear(2, 3), torch.zeros(4, 2))
    layer = luxgen.NumpyLayer(made.load())
    ps, st = luxgen.setup(0, layer)
    with pytest.raises(InputError, match="no gradients: .*without --grad"):
        layer.vjp(normals(4, 2), ps, st)


def modes(st: Any) -> list[bool]:
    if not isinstance(st, tuple):
        return []
    own = [st.training] if hasattr(st, "training") else []
    return [*own, *(mode for part in st for mode in modes(part))]
