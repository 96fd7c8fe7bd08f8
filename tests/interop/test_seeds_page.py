"""Lux's interop page, row by row, in Python: shared/seeds/lux-interop.md.

Each test names the row. Batches come first in torch, last in Julia. The page's second
half, on SimpleChains, is about compiled CPU kernels; here only its model is run.
"""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import luxgen
from luxgen import FromTorchAdaptor, TorchLayer, adapt
from tests.interop.close import agrees, normals


def chain() -> nn.Sequential:
    """m = Flux.Chain(Flux.Dense(2 => 3, relu), Flux.Dense(3 => 2))"""
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))


class Unkept(nn.Module):
    """A part of its state isn't a tensor, so no array can hold it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.note = "trained on Tuesday"

    def get_extra_state(self) -> str:
        return self.note

    def set_extra_state(self, state: str) -> None:
        self.note = state

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


def test_example_of_from_flux_adaptor() -> None:
    """The example, line by line."""
    m = chain()
    m2 = adapt(FromTorchAdaptor(), m)
    x = normals(32, 2)
    ps, st = luxgen.setup(np.random.default_rng(0), m2)
    assert m2(x, ps, st)[0].shape == (32, 2)


def test_or_the_adaptor_is_called() -> None:
    """`# or FromFluxAdaptor()(m.layers)`: a sequence of layers is a chain."""
    m = chain()
    x = normals(4, 2)
    ps, st = luxgen.setup(3, adapt(FromTorchAdaptor(), m))
    y, _ = adapt(FromTorchAdaptor(), m)(x, ps, st)
    for made in (FromTorchAdaptor()(m), FromTorchAdaptor()(list(m))):
        np.testing.assert_array_equal(made(x, *luxgen.setup(3, made))[0], y)


def test_adapt_takes_any_adaptor() -> None:
    """`Adapt.adapt(from::FromFluxAdaptor, L)`: adapt is the call of the adaptor."""
    layer = adapt(TorchLayer, chain())
    assert isinstance(layer, TorchLayer)


def test_keywords_and_their_defaults() -> None:
    """`FromFluxAdaptor(preserve_ps_st::Bool=false, force_preserve::Bool=false)`"""
    fields = {f.name: f.default for f in dataclasses.fields(FromTorchAdaptor)}
    assert fields == {"preserve_ps_st": False, "force_preserve": False}


def test_active_is_ignored() -> None:
    """Warning: "This always ignores the `active` field": here `training`."""
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    x = normals(8, 2)
    outputs = []
    for mode in (True, False):
        model.train(mode)
        layer = FromTorchAdaptor(preserve_ps_st=True)(model, x)
        assert model.training is mode
        ps, st = luxgen.setup(0, layer)
        outputs.append(layer(x, ps, st)[0])  # in training mode, whatever the model's
        agrees(layer, ps, st, model, x, training=True)
        agrees(layer, ps, st, model, x, training=False)
    np.testing.assert_array_equal(*outputs)


def test_preserve_ps_st_false_draws_anew() -> None:
    model = chain()
    layer = FromTorchAdaptor(preserve_ps_st=False)(model)
    ps, st = luxgen.setup(5, layer)
    torch.manual_seed(5)
    close_to = chain().state_dict()
    for name, array in layer.state_dict(ps, st).items():
        np.testing.assert_array_equal(array, close_to[name].numpy())
        assert not np.array_equal(array, model.state_dict()[name].numpy())


def test_preserve_ps_st_true_keeps_the_model() -> None:
    """Also what Lux can't: running statistics."""
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    x = normals(16, 2)
    for _ in range(3):
        model(torch.from_numpy(x))
    layer = FromTorchAdaptor(preserve_ps_st=True)(model, x)
    ps, st = luxgen.setup(np.random.default_rng(1), layer)
    for name, array in layer.state_dict(ps, st).items():
        np.testing.assert_array_equal(array, model.state_dict()[name].numpy())
    agrees(layer, ps, st, model, x, training=False)


def test_what_cant_be_preserved_warns() -> None:
    """`force_preserve=false`: a warning, and a layer without what was lost."""
    model = Unkept()
    with pytest.warns(UserWarning, match="extra state of the model"):
        layer = FromTorchAdaptor(preserve_ps_st=True)(model)
    assert isinstance(layer, luxgen.NumpyLayer)
    ps, st = luxgen.setup(0, layer)
    agrees(layer, ps, st, model, normals(4, 2), training=False)


def test_force_preserve_makes_a_torch_layer() -> None:
    """`force_preserve=true`: "it will create a FluxLayer"."""
    model = Unkept()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = FromTorchAdaptor(preserve_ps_st=True, force_preserve=True)(model)
    assert isinstance(layer, TorchLayer)
    ps, st = luxgen.setup(0, layer)
    agrees(layer, ps, st, model, normals(4, 2), training=False)
    assert layer.state_dict(ps, st)["_extra_state"] == "trained on Tuesday"


def test_force_preserve_alone_changes_nothing() -> None:
    layer = FromTorchAdaptor(preserve_ps_st=True, force_preserve=True)(chain())
    assert isinstance(layer, luxgen.NumpyLayer)


def test_flux_layer() -> None:
    """`FluxLayer(layer)`; Parameters: "`p`: Flattened parameters of the `layer`"."""
    model = chain()
    layer = TorchLayer(model)
    ps, st = luxgen.setup(np.random.default_rng(0), layer)
    assert ps._fields == ("p",)
    flat = torch.cat([p.reshape(-1) for p in model.parameters()])
    np.testing.assert_array_equal(ps.p, flat.detach().numpy())
    agrees(layer, ps, st, model, normals(4, 2), training=True)


def test_lux_model_of_the_second_half() -> None:
    """The model of the SimpleChains example: x (28, 28, 1, 1) there, y (10, 1)."""
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU()),
        nn.MaxPool2d(2),
        nn.Sequential(nn.Conv2d(6, 16, 5), nn.ReLU()),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Sequential(
            nn.Sequential(nn.Linear(256, 128), nn.ReLU()),
            nn.Sequential(nn.Linear(128, 84), nn.ReLU()),
            nn.Linear(84, 10),
        ),
    )
    layer = adapt(FromTorchAdaptor(), model)  # 28 x 28 is the only size that fits
    ps, st = luxgen.setup(np.random.default_rng(0), layer)
    assert layer(normals(1, 1, 28, 28), ps, st)[0].shape == (1, 10)
    assert luxgen.outputsize(layer, (1, 1, 28, 28)) == (10,)
