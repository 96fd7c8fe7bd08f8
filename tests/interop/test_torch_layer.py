"""TorchLayer: torch at run time, as pure as the generated modules."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import luxgen
from luxgen import InputError, TorchLayer
from tests.interop.close import agrees, close, normals, same_gradients


class Tied(nn.Module):
    """One weight used at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 4)
        self.norm = nn.LayerNorm(4)
        self.out = nn.Linear(4, 7, bias=False)
        self.out.weight = self.table.weight

    def forward(self, index: Tensor) -> Tensor:
        return self.out(self.norm(self.table(index)))


class Assigning(nn.Module):
    """Buffers that forward writes in place and by assignment, and its own input."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("last", torch.zeros(2))
        self.register_buffer("hidden", torch.ones(2), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.last = x.detach().mean(0)
        self.hidden = self.hidden * 2
        x.mul_(2)
        return x * self.scale + self.calls


class Pair(NamedTuple):
    low: Any
    high: Any


class Structured(nn.Module):
    """Takes and returns nested structures, integers among them."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)

    def forward(self, xs: tuple[Tensor, Tensor], index: Tensor, *, gain: Tensor) -> Any:
        y = self.linear(xs[0]) + self.linear(xs[1])
        pair = Pair(y * gain, y[index])
        return {"pair": pair, "index": index + 1, "none": None}


MODELS = {
    "mlp": (nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)), (4, 2)),
    "batch norm": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), (3, 1, 6, 6)),
    "layer norm": (nn.Sequential(nn.Linear(2, 8), nn.LayerNorm(8)), (4, 2)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("training", [True, False])
def test_against_torch(name: str, training: bool) -> None:
    model, shape = MODELS[name]
    layer = TorchLayer(model)
    ps, st = luxgen.setup(0, layer)
    x = normals(*shape)
    agrees(layer, ps, st, model, x, training=training)
    same_gradients(layer, ps, st, model, x, training=training)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_take_their_weights_from_ps(kind: Any) -> None:
    """These keep their weights in a second list, which has to follow."""
    model = kind(3, 4, num_layers=2, batch_first=True)
    layer = TorchLayer(model)
    ps, st = luxgen.setup(0, layer)
    ps = layer.unravel(layer.ravel(ps) / 2)
    y, _, pullback = layer.vjp(normals(5, 6, 3), ps, st)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.div_(2)
    theirs = model(torch.from_numpy(normals(5, 6, 3)))
    np.testing.assert_allclose(y[0], theirs[0].detach().numpy(), rtol=1e-6)
    dps = pullback((np.ones_like(y[0]), None))[-1]
    theirs[0].sum().backward()
    flat = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
    np.testing.assert_allclose(dps.p, flat.numpy(), rtol=1e-5, atol=1e-6)


def test_tied_parameters_are_once_in_the_vector() -> None:
    model = Tied()
    layer = TorchLayer(model)
    assert layer.parameterlength() == 7 * 4 + 8
    ps, st = luxgen.setup(0, layer)
    same_gradients(
        layer, ps, st, model, np.array([[0, 3, 3], [6, 1, 0]]), training=True
    )  # fmt: skip
    held = layer.state_dict(ps, st)
    np.testing.assert_array_equal(held["table.weight"], held["out.weight"])


def test_calls_are_pure() -> None:
    model = Assigning()
    layer = TorchLayer(model)
    ps, st = luxgen.setup(0, layer)
    x = normals(4, 2)
    kept = x.copy()
    y, new = layer(x, ps, st)
    again, newer = layer(x, ps, new)
    np.testing.assert_array_equal(x, kept)
    assert st.buffers["calls"] == 0 and not st.buffers["last"].any()
    assert (new.buffers["calls"], newer.buffers["calls"]) == (1, 2)
    np.testing.assert_allclose(new.buffers["last"], x.mean(0), rtol=1e-6)
    np.testing.assert_array_equal(newer.buffers["hidden"], [4, 4])
    np.testing.assert_array_equal(layer(x, ps, st)[0], y)
    np.testing.assert_allclose(again, y + 1, rtol=1e-6)
    assert model.calls == 0 and torch.equal(model.hidden, torch.ones(2))
    assert list(layer.state_dict(ps, new)) == ["scale", "calls", "last"]


def test_gradients_where_forward_overwrites_its_input() -> None:
    layer = TorchLayer(Assigning())
    ps, st = luxgen.setup(0, layer)
    x = normals(4, 2)
    y, _, pullback = layer.vjp(x, ps, st)
    dx, dps = pullback(np.ones_like(y))
    np.testing.assert_array_equal(dx, np.full((4, 2), 2, np.float32))
    np.testing.assert_allclose(dps.p, 2 * x.sum(0), rtol=1e-6)


def test_dropout_is_a_function_of_the_state() -> None:
    layer = TorchLayer(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)))
    ps, st = luxgen.setup(0, layer)
    x = normals(4, 8)
    before = torch.get_rng_state()
    y, new = layer(x, ps, st)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(layer(x, ps, st)[0], y)
    assert not np.array_equal(layer(x, ps, new)[0], y)
    assert (st.step, new.step) == (0, 1)
    assert layer(x, ps, luxgen.testmode(st))[1].step == 0
    other = luxgen.setup(1, layer)[1]
    assert not np.array_equal(layer(x, ps, other)[0], y)
    traced, _, pullback = layer.vjp(x, ps, st)
    np.testing.assert_array_equal(traced, y)
    dps = pullback(np.ones_like(y))[-1]
    np.testing.assert_allclose(dps.p[64:], (y != 0).sum(0) * 2, rtol=1e-6)


def test_structures() -> None:
    layer = TorchLayer(Structured())
    ps, st = luxgen.setup(0, layer)
    xs, index = (normals(4, 2), normals(4, 2, seed=1)), np.array([0, 2, 2])
    y, _, pullback = layer.vjp(xs, index, ps, st, gain=np.float32(3))
    assert y["none"] is None and y["index"].tolist() == [1, 3, 3]
    assert type(y["pair"]) is Pair
    dy = {"pair": Pair(np.ones((4, 3)), np.ones((3, 3))), "index": None, "none": None}
    dxs, dindex, dps = pullback(dy)
    assert dindex is None
    weight = layer.module.linear.weight.detach().numpy()
    rows = np.array([4, 3, 5, 3], np.float32)  # gain, and how often index has the row
    close(list(dxs), [np.outer(rows, weight.sum(0))] * 2, [])
    assert dps.p.shape == (9,)
    zeros = pullback({"pair": Pair(None, None), "index": None, "none": None})
    assert not zeros[-1].p.any() and not zeros[0][1].any()


@pytest.mark.filterwarnings("ignore:Complex modules")
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.complex64])
def test_dtypes(dtype: torch.dtype) -> None:
    model = nn.Linear(2, 3).to(dtype)
    layer = TorchLayer(model)
    ps, st = luxgen.setup(0, layer)
    wide = {torch.float64: "float64", torch.complex64: "complex64"}
    assert ps.p.dtype == wide.get(dtype, "float32")
    x = normals(4, 2).astype(ps.p.dtype)
    y, _, pullback = layer.vjp(x, ps, st)
    assert y.dtype == ps.p.dtype
    dx, dps = pullback(np.ones_like(y))
    assert (dx.dtype, dps.p.dtype) == (ps.p.dtype, ps.p.dtype)


def test_a_vector_in_double_precision() -> None:
    """As SciPy passes it; torch computes in the module's own dtypes."""
    layer = TorchLayer(nn.Linear(2, 3))
    ps, st = luxgen.setup(0, layer)
    double = layer.unravel(ps.p.astype(np.float64))
    y, _, pullback = layer.vjp(normals(4, 2), double, st)
    assert y.dtype == np.float32
    assert pullback(np.ones_like(y))[-1].p.dtype == np.float64


def test_mixed_dtypes_are_exact() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2).double())
    model.register_parameter("n", nn.Parameter(torch.tensor(3), requires_grad=False))
    layer = TorchLayer(model)
    ps, st = luxgen.setup(0, layer)
    assert ps.p.dtype == np.float64 and st.buffers["n"] == 3
    held = layer.state_dict(ps, st)
    for name, tensor in model.state_dict().items():
        assert held[name].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(held[name], tensor.numpy())


@pytest.mark.filterwarnings("ignore:Complex modules")
def test_complex_beside_real_is_refused() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2).to(torch.complex64))
    with pytest.raises(InputError, match="view_as_real"):
        TorchLayer(model)


def test_a_model_without_parameters() -> None:
    layer = TorchLayer(nn.ReLU())
    ps, st = luxgen.setup(0, layer)
    assert ps.p.shape == (0,)
    y, _, pullback = layer.vjp(normals(3), ps, st)
    np.testing.assert_array_equal(y, np.maximum(normals(3), 0))
    np.testing.assert_array_equal(pullback(np.ones_like(y))[0], normals(3) > 0)


def test_wrong_arguments() -> None:
    layer = TorchLayer(nn.Linear(2, 3))
    ps, st = luxgen.setup(0, layer)
    x = normals(4, 2)
    with pytest.raises(InputError, match=r"ps.p must have shape \(9,\), not \(8,\)"):
        layer(x, ps._replace(p=ps.p[1:]), st)
    with pytest.raises(InputError, match="another layer"):
        layer(x, ps, st._replace(buffers={"a": x}))
    _, _, pullback = layer.vjp(x, ps, st)
    with pytest.raises(InputError, match=r"dy must have shape \(4, 3\), not \(3,\)"):
        pullback(np.ones(3, np.float32))
    with pytest.raises(InputError, match="structure of y"):
        pullback((np.ones((4, 3)), np.ones((4, 3))))


def test_an_output_that_hides_its_tensors() -> None:
    class Hidden(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return {x}

    layer = TorchLayer(Hidden())
    with pytest.raises(InputError, match="returns a set"):
        layer(normals(2), *luxgen.setup(0, layer))


def test_lazy_layers_are_refused() -> None:
    with pytest.raises(InputError, match="lazy"):
        TorchLayer(nn.LazyLinear(3))


def test_computed_weights() -> None:
    """The old weight_norm keeps a computed tensor, which deepcopy refuses."""
    with pytest.warns(FutureWarning):
        model = nn.utils.weight_norm(nn.Linear(2, 3))
    model(torch.zeros(1, 2))
    layer = TorchLayer(model)
    ps, st = luxgen.setup(0, layer)
    y, _ = layer(normals(4, 2), ps, st)
    theirs = model(torch.from_numpy(normals(4, 2))).detach().numpy()
    np.testing.assert_allclose(y, theirs, rtol=1e-6)


def test_from_state_dict() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    layer = TorchLayer(model)
    ps, st = luxgen.setup(0, layer)
    _, new = layer(normals(8, 2), ps, st)
    held = layer.state_dict(layer.unravel(ps.p * 2), new)
    ps_2, st_2 = layer.from_state_dict(held)
    np.testing.assert_array_equal(ps_2.p, ps.p * 2)
    np.testing.assert_equal(st_2.buffers, new.buffers)
    with pytest.raises(InputError, match="missing: '0.bias'"):
        layer.from_state_dict({n: w for n, w in held.items() if n != "0.bias"})
