"""FromTorchAdaptor beyond the page: what Lux can't convert, inputs, refusals."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import luxgen
from luxgen import FromTorchAdaptor, NumpyLayer, TorchLayer, UnsupportedError
from tests.interop.close import agrees, close, normals

KEEP = FromTorchAdaptor(preserve_ps_st=True)


class Steered(nn.Module):
    """Takes its path from the data, which can't be translated."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        if y.sum().item() > 0:
            y = y * 2
        return y


class Counted(nn.Module):
    """A parameter that no layer draws, beside one that is."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((3,), 2.0))
        self.linear = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * self.scale


@pytest.mark.parametrize(
    "cell", [nn.RNNCell(3, 4), nn.LSTMCell(3, 4), nn.GRUCell(3, 4)], ids=repr
)
def test_recurrent_cells_are_converted(cell: nn.Module) -> None:
    """Lux refuses them: Flux's have another bias."""
    x, h, c = (normals(5, n, seed=n) for n in (3, 4, 4))
    carry = (h, c) if isinstance(cell, nn.LSTMCell) else h
    layer = KEEP(cell, x, carry)
    ps, st = luxgen.setup(0, layer)
    y, _ = layer(x, ps, st, hx=carry)  # optional in torch, so a keyword
    with torch.no_grad():
        low, high = (
            each(
                *pytree.tree_map(
                    lambda a, to=to: torch.from_numpy(a).to(to), (x, carry)
                )
            )
            for each, to in (
                (cell, torch.float32),
                (copy.deepcopy(cell).double(), torch.float64),
            )
        )
    close(y, low, high)


def test_cells_need_no_example_inputs() -> None:
    layer = FromTorchAdaptor()(nn.GRUCell(3, 4))
    assert layer.parameterlength() == 3 * 4 * (3 + 4 + 2)


def test_layer_norm_is_converted() -> None:
    """Lux makes it a FluxLayer."""
    model = nn.Sequential(nn.Linear(2, 8), nn.LayerNorm(8), nn.Linear(8, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.linspace(0.5, 2, 8))
        model[1].bias.copy_(torch.linspace(-1, 1, 8))
    layer = KEEP(model)
    assert isinstance(layer, NumpyLayer)
    agrees(layer, *luxgen.setup(0, layer), model, normals(6, 2), training=True)


def test_fresh_statistics_of_a_trained_batch_norm() -> None:
    """preserve_ps_st=False: the state is drawn anew as well, not the trained one."""
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    for seed in range(3):
        model(torch.from_numpy(normals(8, 2, seed=seed)))
    layer = FromTorchAdaptor()(model, normals(8, 2))
    held = layer.state_dict(*luxgen.setup(0, layer))
    np.testing.assert_array_equal(held["1.running_mean"], np.zeros(3, np.float32))
    np.testing.assert_array_equal(held["1.running_var"], np.ones(3, np.float32))
    assert held["1.num_batches_tracked"] == 0


def test_parameters_that_nothing_draws_are_named() -> None:
    with pytest.warns(UserWarning, match="not drawn anew.*: scale$"):
        layer = FromTorchAdaptor()(Counted())
    held = layer.state_dict(*luxgen.setup(0, layer))
    np.testing.assert_array_equal(held["scale"], np.full(3, 2, np.float32))


def test_modes_of_single_layers_are_ignored() -> None:
    """A BatchNorm in eval mode is one in training mode in the state."""
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    x = normals(8, 2)
    plain = KEEP(model, x)
    model[1].eval()
    frozen = KEEP(model, x)
    assert plain.source == frozen.source
    ps, st = luxgen.setup(0, frozen)
    agrees(frozen, ps, st, model, x, training=True)
    still = luxgen.update_state(st, "training", False, layer="1")
    np.testing.assert_array_equal(
        frozen(x, ps, still)[0], frozen(x, ps, luxgen.testmode(st))[0]
    )


def test_requires_grad_is_ignored() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    model[0].requires_grad_(False)
    for layer in (KEEP(model), TorchLayer(model)):
        assert layer.parameterlength() == 17
        ps, st = luxgen.setup(0, layer)
        y, _, pullback = layer.vjp(normals(4, 2), ps, st)
        assert np.any(layer.state_dict(pullback(np.ones_like(y))[-1], st)["0.weight"])


def test_the_model_stays_as_it_is() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)).eval()
    before = copy.deepcopy(model.state_dict())
    for adaptor in (FromTorchAdaptor(), KEEP):
        layer = adaptor(model, normals(8, 2))
        ps, st = luxgen.setup(0, layer)
        layer(normals(8, 2), ps, st)
    assert not any(m.training for m in model.modules())
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())


def test_later_changes_of_the_model_dont_reach_the_layer() -> None:
    model = nn.Linear(2, 3)
    layers = [KEEP(model), TorchLayer(model)]
    before = [layer.ravel(luxgen.setup(0, layer)[0]) for layer in layers]
    with torch.no_grad():
        model.weight.zero_()
    for layer, ps in zip(layers, before, strict=True):
        np.testing.assert_array_equal(layer.ravel(luxgen.setup(0, layer)[0]), ps)


def test_setup_copies() -> None:
    layer = KEEP(nn.Linear(2, 3))
    first, second = (luxgen.setup(0, layer)[0] for _ in range(2))
    first.weight[:] = 0
    assert np.all(second.weight != 0)


def test_example_inputs_as_arrays_tensors_and_keywords() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(2, 3)

        def forward(self, x: Tensor, *, shift: Tensor | None = None) -> Tensor:
            y = self.linear(x)
            return y if shift is None else y + shift

    x, shift = normals(4, 2), normals(4, 3)
    model = Two()
    for args in ((x, shift), (torch.from_numpy(x), torch.from_numpy(shift))):
        layer = KEEP(model, args[0], shift=args[1])
        ps, st = luxgen.setup(0, layer)
        y, _ = layer(x, ps, st, shift=shift)
        plain = model(torch.from_numpy(x)).detach().numpy()
        np.testing.assert_allclose(y, plain + shift, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "model", [nn.BatchNorm1d(3), nn.Conv2d(1, 2, 3)], ids=["batch norm", "any size"]
)
def test_inputs_that_arent_certain_are_asked_for(model: nn.Module) -> None:
    with pytest.raises(luxgen.InputError, match="pass example inputs") as caught:
        FromTorchAdaptor()(model)
    assert "--input" not in str(caught.value)


def test_what_cant_be_translated() -> None:
    with pytest.raises(UnsupportedError) as caught:
        FromTorchAdaptor()(Steered(), normals(4, 2))
    assert "test_adaptor.py" in str(caught.value)
    assert "force_preserve=True" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("preserve", [False, True])
def test_what_cant_be_translated_by_force(preserve: bool) -> None:
    model = Steered()
    with pytest.warns(UserWarning, match="torch runs Steered, .* because 1 place"):
        layer = FromTorchAdaptor(preserve, force_preserve=True)(model, normals(4, 2))
    assert isinstance(layer, TorchLayer)
    ps, st = luxgen.setup(0, layer)
    for seed in range(4):
        agrees(layer, ps, st, model, normals(4, 2, seed=seed), training=True)


def test_a_warning_points_at_the_users_line() -> None:
    with pytest.warns(UserWarning) as caught:
        luxgen.adapt(FromTorchAdaptor(), Counted())
        FromTorchAdaptor()(Counted())
    assert [w.filename for w in caught] == [__file__] * 2


def test_import_without_torch() -> None:
    """What doesn't read torch models works where torch isn't installed."""
    code = """
import sys
sys.modules["torch"] = None
import luxgen
names = set(luxgen.__all__) - {
    "FromTorchAdaptor", "Generated", "TorchLayer", "adapt", "transpile"
}
for name in names:
    getattr(luxgen, name)
sys.path.insert(0, "golden/lenet5")
import lenet5, numpy as np
layer = luxgen.NumpyLayer(lenet5)
ps, st = luxgen.setup(0, layer)
s = luxgen.StatefulLayer(layer, ps, luxgen.testmode(st))
print(s(np.zeros((2, 1, 28, 28), "f")).shape, luxgen.parameterlength(layer))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "(2, 10) 44426\n", done.stderr
