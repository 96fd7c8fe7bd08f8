"""freeze, unfreeze and share_parameters: trees of parameters by path."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import luxgen
from luxgen import FromTorchAdaptor, InputError, TorchLayer, freeze, unfreeze
from luxgen.interop.trees import walk
from tests.interop.close import normals


class Model(nn.Module):
    """The model of share_parameters' example in Lux, and names that aren't fields."""

    def __init__(self) -> None:
        super().__init__()
        self.d1 = nn.Linear(2, 4)
        self.d3 = nn.ModuleDict({"l1": nn.Linear(4, 2), "l-2": nn.Linear(2, 4)})
        self.d2 = nn.Sequential(nn.Tanh(), nn.Linear(4, 2))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.d1(x))
        return self.d2(self.d3["l-2"](self.d3["l1"](y)))


@pytest.fixture(scope="module")
def layer() -> luxgen.NumpyLayer:
    return FromTorchAdaptor(preserve_ps_st=True)(Model())


def held(tree: Any) -> set[str]:
    return {".".join(path) for path, leaf in walk(tree) if leaf is not None}


@pytest.mark.parametrize(
    "paths, frozen",
    [
        ("d1", {"d1.weight", "d1.bias"}),
        (["d1.bias", "d2.1.weight"], {"d1.bias", "d2.1.weight"}),
        (("d3.l-2.weight",), {"d3.l_2.weight"}),
        (("d3.l_2", "d3"), {"d3.l1.weight", "d3.l1.bias", "d3.l_2.weight", "d3.l_2.bias"}),
        ((), set()),
    ],
)  # fmt: skip
def test_partition(layer: luxgen.NumpyLayer, paths: Any, frozen: set[str]) -> None:
    ps, _ = luxgen.setup(0, layer)
    ours, theirs = freeze(ps, paths)
    assert held(theirs) == frozen
    assert held(ours) == held(ps) - frozen
    assert type(ours) is type(theirs) is type(ps)
    merged = unfreeze(ours, theirs)
    pairs = zip(walk(merged), walk(ps), strict=True)
    assert all(a[0] == b[0] and a[1] is b[1] for a, b in pairs)
    assert luxgen.parameterlength(ours) + luxgen.parameterlength(theirs) == 44


def test_everything(layer: luxgen.NumpyLayer) -> None:
    """`which_params = nothing`: then all parameters are frozen."""
    ps, _ = luxgen.setup(0, layer)
    assert held(freeze(ps)[0]) == set()
    assert freeze(layer).parameterlength() == 0


def test_children_of_a_chain_by_torchs_numbers() -> None:
    chain = FromTorchAdaptor()(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)))
    ps, _ = luxgen.setup(0, chain)
    assert held(freeze(ps, "0.weight")[1]) == {"n0.weight"}


def test_frozen_layer(layer: luxgen.NumpyLayer) -> None:
    x = normals(5, 2)
    ps, st = luxgen.setup(0, layer)
    y, _ = layer(x, ps, st)
    fl, ps_t, st_f = freeze(layer, ps, st, ("d1", "d3.l1.bias"))
    assert st_f._fields == ("frozen_params", "states")  # Lux's names
    out, new = fl(x, ps_t, st_f)
    np.testing.assert_array_equal(out, y)
    assert held(new.frozen_params) == held(st_f.frozen_params)
    assert fl.parameterlength() == 44 - 12 - 2 == fl.ravel(ps_t).size
    inner, ps_u, st_u = unfreeze(fl, ps_t, new)
    assert inner is layer is unfreeze(fl)
    np.testing.assert_equal((ps_u, st_u), (ps, st))
    np.testing.assert_equal(fl.state_dict(ps_t, st_f), layer.state_dict(ps, st))
    again = fl.from_state_dict(fl.state_dict(ps_t, st_f))
    np.testing.assert_equal(again, (ps_t, st_f))


def test_gradients_of_a_frozen_layer(layer: luxgen.NumpyLayer) -> None:
    x = normals(5, 2)
    ps, st = luxgen.setup(0, layer)
    fl, ps_t, st_f = freeze(layer, ps, st, ["d1"])
    y, _, pullback = fl.vjp(x, ps_t, st_f)
    dx, dps = pullback(np.ones_like(y))
    whole = layer.vjp(x, ps, st)[2](np.ones_like(y))
    np.testing.assert_array_equal(dx, whole[0])
    np.testing.assert_equal(dps, freeze(whole[1], ["d1"])[0])
    vec = fl.ravel(dps)
    np.testing.assert_equal(fl.unravel(vec), dps)


def test_setup_of_a_frozen_layer_and_its_modes() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    inner = FromTorchAdaptor(preserve_ps_st=True)(model, normals(4, 2))
    fl = freeze(inner, "1")
    ps, st = luxgen.setup(0, fl)
    assert held(ps) == {"n0.weight", "n0.bias"}
    x = normals(4, 2)
    y, new = fl(x, ps, st)
    assert new.states.n1.num_batches_tracked == 1
    whole = inner.setup(0)
    np.testing.assert_array_equal(y, inner(x, *whole)[0])
    _, still = fl(x, ps, luxgen.testmode(st))
    assert still.states.n1.num_batches_tracked == 0
    assert luxgen.outputsize(fl, (4, 2)) == (3,)


def test_training_leaves_frozen_parameters_alone(layer: luxgen.NumpyLayer) -> None:
    ps, st = luxgen.setup(0, layer)
    fl, ps_t, st_f = freeze(layer, ps, st, ["d1", "d2.1.bias"])
    for optimizer in (luxgen.AdamW(lr=0.1), luxgen.SGD(lr=0.1, momentum=0.9)):
        ts = luxgen.TrainState(fl, ps_t, st_f, optimizer)
        for _ in range(3):
            data = (normals(5, 2), normals(5, 2, seed=1))
            *_, ts = luxgen.single_train_step(ts, "mse", data)
        _, trained, _ = unfreeze(fl, ts.parameters, ts.states)
        for (path, old), (_, new) in zip(walk(ps), walk(trained), strict=True):
            still = path[0] == "d1" or path == ("d2", "1", "bias")
            if old is not None:  # the place of d2's Tanh
                assert np.array_equal(old, new) == still, path


def test_wrong_paths(layer: luxgen.NumpyLayer) -> None:
    ps, _ = luxgen.setup(0, layer)
    with pytest.raises(InputError, match="no 'd4': the tree has d1, d3, d2"):
        freeze(ps, ["d1", "d4"])
    with pytest.raises(InputError, match="no 'd1.weight.x': d1.weight has no parts"):
        freeze(layer, "d1.weight.x").setup(0)
    with pytest.raises(InputError, match="d1.weight is both"):
        unfreeze(ps, freeze(ps, "d1.weight")[1])


def test_names_that_are_spelled_alike() -> None:
    """`0` and `n0` would both be the field n0."""
    model = nn.Sequential()
    model.add_module("n0", nn.Linear(2, 2))
    model.add_module("0", nn.Linear(2, 2))
    ps, _ = luxgen.setup(0, FromTorchAdaptor()(model))
    with pytest.raises(InputError, match="'0' may be any of n0, n0_2"):
        freeze(ps, "0")
    assert held(freeze(ps, "n0_2")[1]) == {"n0_2.weight", "n0_2.bias"}


def test_share_parameters(layer: luxgen.NumpyLayer) -> None:
    """The example of Lux's docs."""
    ps, _ = luxgen.setup(0, layer)
    before = ps.d1.weight.copy()
    shared = luxgen.share_parameters(ps, (("d3.l-2", "d1"), ("d2.1", "d3.l1")))
    assert shared.d3.l_2.weight is shared.d1.weight
    assert shared.d3.l_2.bias is shared.d1.bias
    assert shared.d2[1].weight is shared.d3.l1.weight
    assert shared.d2[1].bias is shared.d3.l1.bias
    assert shared.d1.weight is ps.d3.l_2.weight
    np.testing.assert_array_equal(ps.d1.weight, before)
    assert type(shared) is type(ps)


def test_share_new_parameters(layer: luxgen.NumpyLayer) -> None:
    ps, _ = luxgen.setup(0, layer)
    new = np.full((4, 2), 7, np.float32)
    shared = luxgen.share_parameters(ps, [("d1.weight", "d3.l-2.weight")], [new])
    assert shared.d1.weight is new is shared.d3.l_2.weight
    assert shared.d1.bias is ps.d1.bias


@pytest.mark.parametrize(
    "sharing, new, message",
    [
        ([("d1", "d2.1")], None, r"d2.1 can't take .*has weight \(2, 4\) float32, .*"),
        ([("d1", "d3.l-2"), ("d1.bias", "d3.l-2.bias")], None, "overlap: d1 and d1.b"),
        ([("d1", "d5")], None, "no 'd5'"),
        ([("d1", "d3.l-2")], [], "1 groups and 0 new parameters"),
    ],
)
def test_sharing_that_cant_be(
    layer: luxgen.NumpyLayer, sharing: Any, new: Any, message: str
) -> None:
    ps, _ = luxgen.setup(0, layer)
    with pytest.raises(InputError, match=message):
        luxgen.share_parameters(ps, sharing, new)


def test_shared_parameters_train_as_torchs_tied_ones(
    layer: luxgen.NumpyLayer,
) -> None:  # fmt: skip
    """One summed gradient, one update, one array."""
    ps, st = luxgen.setup(0, layer)
    shared = luxgen.share_parameters(ps, (("d1", "d3.l-2"),))
    model = Model()
    weights = {n: torch.from_numpy(w) for n, w in layer.state_dict(shared, st).items()}
    model.load_state_dict(weights)
    model.d3["l-2"] = model.d1
    theirs = torch.optim.Adam(model.parameters(), lr=0.05)
    ts = luxgen.TrainState(layer, shared, st, luxgen.Adam(lr=0.05))
    x, target = normals(6, 2), normals(6, 2, seed=1)
    for _ in range(5):
        grads, loss, _, ts = luxgen.single_train_step(ts, "mse", (x, target))
        theirs.zero_grad()
        truth = nn.functional.mse_loss(
            model(torch.from_numpy(x)), torch.from_numpy(target)
        )
        truth.backward()
        np.testing.assert_allclose(loss, truth.item(), rtol=1e-5)
        np.testing.assert_allclose(
            grads.d1.weight, model.d1.weight.grad, rtol=1e-4, atol=1e-6
        )
        theirs.step()
    assert ts.parameters.d1.weight is ts.parameters.d3.l_2.weight
    assert ts.parameters.d1.bias is ts.parameters.d3.l_2.bias
    for name, tensor in model.state_dict().items():
        ours = layer.state_dict(ts.parameters, ts.states)[name]
        np.testing.assert_allclose(ours, tensor.numpy(), rtol=1e-4, atol=1e-6)


def test_freezing_a_torch_layer_is_all_or_nothing() -> None:
    fl = freeze(TorchLayer(nn.Linear(2, 3)), "p")
    ps, st = luxgen.setup(0, fl)
    assert ps.p is None and fl(normals(4, 2), ps, st)[0].shape == (4, 3)
