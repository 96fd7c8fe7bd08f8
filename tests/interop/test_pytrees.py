"""`ps` as a tree of torch and of JAX, and as the vector that SciPy minimises over.

JAX takes 600 MB to install, so its rules are checked on optree, the same tree
algorithm as a library of its own: NamedTuples, tuples and None are nodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import optree
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.utils import _pytree as torch_tree

import luxgen
from luxgen import FromTorchAdaptor, TorchLayer
from luxgen.interop.trees import array_leaves
from tests.interop.close import normals


class Net(nn.Module):
    """A root, a list, a chain with parts that have no parameters, a lone tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 8))
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))
        self.shift = nn.Parameter(torch.zeros(8))
        self.last = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.chain(x) + self.shift
        for layer in self.layers:
            y = torch.tanh(layer(y))
        return self.last(y)


@pytest.fixture(scope="module")
def layer() -> luxgen.NumpyLayer:
    torch.manual_seed(0)
    return FromTorchAdaptor(preserve_ps_st=True)(Net())


def test_torch_pytree(layer: luxgen.NumpyLayer) -> None:
    ps, st = luxgen.setup(0, layer)
    leaves, spec = torch_tree.tree_flatten(ps)
    assert sum(leaf is None for leaf in leaves) == 1  # torch's tree keeps it as a leaf
    arrays = [leaf for leaf in leaves if leaf is not None]
    assert all(a is b for a, b in zip(arrays, array_leaves(ps), strict=True))
    np.testing.assert_equal(torch_tree.tree_unflatten(leaves, spec), ps)
    doubled = torch_tree.tree_map_only(np.ndarray, lambda w: w * 2, ps)
    assert type(doubled) is type(ps)
    np.testing.assert_array_equal(layer.ravel(doubled), layer.ravel(ps) * 2)
    paths = [
        torch_tree.keystr(path) for path, _ in torch_tree.tree_leaves_with_path(ps)
    ]
    assert ".layers[1].weight" in paths
    tensors = torch_tree.tree_map_only(np.ndarray, torch.from_numpy, ps)
    assert tensors.last.weight.shape == (1, 8)


def test_tree_of_jax(layer: luxgen.NumpyLayer) -> None:
    ps, st = luxgen.setup(0, layer)
    leaves, spec = optree.tree_flatten(ps)
    assert all(a is b for a, b in zip(leaves, array_leaves(ps), strict=True))
    assert type(optree.tree_unflatten(spec, leaves)) is type(ps)
    _, dps = layer.value_and_grad(normals(4, 2), normals(4, 1), ps, st, loss="mse")
    stepped = optree.tree_map(lambda w, d: w - 0.1 * d, ps, dps)
    np.testing.assert_allclose(
        layer.ravel(stepped), layer.ravel(ps) - 0.1 * layer.ravel(dps), rtol=1e-6
    )
    trained, _ = luxgen.freeze(ps, "chain")
    assert len(optree.tree_leaves(trained)) == len(leaves) - 4  # None has no leaves


def test_state_is_a_tree_too() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    for layer in (FromTorchAdaptor()(nn.Linear(2, 3)), TorchLayer(model)):
        _, st = luxgen.setup(0, layer)
        for tree in (torch_tree, optree):
            leaves, spec = tree.tree_flatten(st)
            args = (leaves, spec) if tree is torch_tree else (spec, leaves)
            np.testing.assert_equal(tree.tree_unflatten(*args), st)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_scipy_minimises_through_ravel(layer: luxgen.NumpyLayer, kind: str) -> None:
    """L-BFGS-B over one float64 vector, with the gradient of the generated module."""
    used: luxgen.Layer = layer
    if kind == "torch":
        torch.manual_seed(0)
        used = TorchLayer(Net())
    x = np.linspace(-1, 1, 32, dtype=np.float32).reshape(16, 2)
    target = np.sin(x.sum(1, keepdims=True))
    ps, st = luxgen.setup(0, used)

    def objective(vec: Any) -> tuple[float, Any]:
        ps = used.unravel(vec.astype(np.float32))
        (loss, _), dps = used.value_and_grad(x, target, ps, st, loss="mse")
        return float(loss), used.ravel(dps).astype(np.float64)

    start = used.ravel(ps).astype(np.float64)
    before, slope = objective(start)
    assert slope.shape == start.shape == (used.parameterlength(),)
    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 100}
    )
    assert found.fun < 1e-3 < 0.1 < before
    y, _ = used(x, used.unravel(found.x.astype(np.float32)), st)
    np.testing.assert_allclose(y, target, atol=0.1)


def test_gradients_in_double_precision_by_finite_differences(
    layer: luxgen.NumpyLayer,
) -> None:
    """unravel of a float64 vector gives a float64 model."""
    x, target = normals(4, 2).astype(np.float64), np.ones((4, 1))
    ps, st = luxgen.setup(0, layer)
    vec = layer.ravel(ps).astype(np.float64)

    def loss(vec: Any) -> Any:
        return layer.value_and_grad(x, target, layer.unravel(vec), st, loss="mse")

    slope = layer.ravel(loss(vec)[1])
    assert slope.dtype == np.float64
    direction = np.random.default_rng(0).standard_normal(vec.size)
    step = 1e-6 * direction
    rise = (loss(vec + step)[0][0] - loss(vec - step)[0][0]) / 2e-6
    np.testing.assert_allclose(slope @ direction, rise, rtol=1e-6)
