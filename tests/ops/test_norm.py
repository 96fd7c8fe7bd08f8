"""Normalisations against torch, and the layers' running statistics."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from luxgen.ir.values import Leaf, Value
from luxgen.ops.batch_norm import (
    BatchNormState,
    batch_norm_layer,
    batch_norm_plain,
    batch_norm_update,
    instance_norm_layer,
    instance_norm_unbatched,
    instance_norm_update,
)
from luxgen.targets.numpy.rules import template
from luxgen.targets.numpy.rules.op import Op, Refused
from tests.ops.opcheck import check, compare, evaluate, lowered

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


class Affine(NamedTuple):
    weight: np.ndarray
    bias: np.ndarray


@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 3, 6), (0, 6), (3, 1)])
@pytest.mark.parametrize("given", [(), ("weight",), ("weight", "bias"), ("bias",)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_layer_norm(
    shape: tuple[int, ...], given: tuple[str, ...], dtype: torch.dtype
) -> None:
    x = torch.randn(shape, dtype=dtype) * 3 + 5
    affine = {name: torch.randn(shape[-1:], dtype=dtype) for name in given}
    check(F.layer_norm, x, shape[-1:], **affine)
    check(F.layer_norm, x, shape[-1:], eps=0.5, **affine)


def test_layer_norm_over_several_axes() -> None:
    x, weight, bias = torch.randn(2, 3, 4, 5), torch.randn(4, 5), torch.randn(4, 5)
    check(F.layer_norm, x, (4, 5), weight, bias)
    check(F.layer_norm, x, (2, 3, 4, 5))
    check(torch.layer_norm, x, (5,))
    check(torch.native_layer_norm, x, (4, 5), weight, bias, 1e-3)
    check(torch.native_layer_norm, x, (5,), None, None, 1e-5)
    check(F.layer_norm, x.transpose(1, 3), (4, 3), torch.randn(4, 3))


def test_layer_norm_far_from_zero_and_constant_rows() -> None:
    check(F.layer_norm, torch.randn(8, 64) + 1000, (64,))
    check(F.layer_norm, torch.full((2, 8), 3.5), (8,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rms_norm(dtype: torch.dtype) -> None:
    """eps=None is the dtype's epsilon, which shows in small rows."""
    x = torch.randn(3, 4, 6, dtype=dtype) * 1e-4
    text = check(F.rms_norm, x, (6,), torch.randn(6, dtype=dtype))
    assert "eps" not in text
    x = x.float() * 1e-4
    ours = evaluate(*lowered(F.rms_norm, (x, (6,)), {}))
    np.testing.assert_allclose(ours, F.rms_norm(x, (6,)).numpy(), rtol=1e-5)
    check(F.rms_norm, x, (4, 6), torch.randn(4, 6), 1e-3)
    check(torch.rms_norm, x, (6,), eps=1e-6)


@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 5), (3, 6, 4, 5), (0, 6, 4)])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_norm(shape: tuple[int, ...], groups: int) -> None:
    x = torch.randn(shape) * 2 + 1
    if groups == 6 and len(shape) == 2:
        return  # one value per group raises in torch
    check(F.group_norm, x, groups)
    check(F.group_norm, x, groups, torch.randn(6), torch.randn(6), 0.1)
    check(torch.group_norm, x.double(), groups, torch.randn(6).double())


def test_native_group_norm() -> None:
    x, weight, bias = torch.randn(2, 6, 20), torch.randn(6), torch.randn(6)
    check(torch.native_group_norm, x, weight, bias, 2, 6, 20, 3, 1e-3)
    check(torch.native_group_norm, x, None, None, 2, 6, 20, 2, 1e-5)


@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 3, 4, 5), (1, 3, 2, 3, 4)])
def test_instance_norm(shape: tuple[int, ...]) -> None:
    x, weight, bias = torch.randn(shape), torch.randn(3), torch.randn(3)
    check(F.instance_norm, x)
    check(F.instance_norm, x, None, None, weight, bias, eps=1e-2)
    mean, var = torch.randn(3), torch.rand(3)
    check(F.instance_norm, x, mean, var, weight, bias, use_input_stats=False)


def test_instance_norm_raises_as_torch_does() -> None:
    x = torch.randn(2, 3, 1)
    with pytest.raises(ValueError, match="more than 1 spatial element") as theirs:
        F.instance_norm(x)
    layer = nn.InstanceNorm1d(3, track_running_stats=True)
    st = BatchNormState(layer.running_mean.numpy(), layer.running_var.numpy(), 0)
    with pytest.raises(ValueError, match="more than 1 spatial element") as ours:
        instance_norm_layer(x.numpy(), None, st)
    assert str(ours.value)[:60] == str(theirs.value)[:60]


def test_instance_norm_with_running_statistics() -> None:
    """By its own statistics; what it writes is another op's."""
    x, mean, var = torch.randn(4, 3, 6), torch.randn(3), torch.rand(3)
    check(F.instance_norm, x, mean.clone(), var.clone())
    arrays = [a.numpy().copy() for a in (x, mean, var)]
    ours = instance_norm_update(*arrays, momentum=0.3)
    high = mean.double(), var.double()
    F.instance_norm(x.double(), *high, momentum=0.3)
    F.instance_norm(x, mean, var, momentum=0.3)
    compare(ours, (mean, var), high)


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 6), (2, 3, 4, 5), (2, 3, 2, 2, 2)])
def test_batch_norm(shape: tuple[int, ...]) -> None:
    x, mean, var = torch.randn(shape) * 2 + 1, torch.randn(3), torch.rand(3) + 0.1
    weight, bias = torch.randn(3), torch.randn(3)
    check(F.batch_norm, x, mean, var)
    check(F.batch_norm, x, mean, var, weight, bias, eps=1e-2)
    check(F.batch_norm, x, None, None, weight, bias, training=True)
    check(F.batch_norm, x, None, None, None, bias, True, 0.3, 1e-3)
    check(torch.batch_norm, x, weight, bias, mean, var, False, 0.1, 1e-5, False)
    check(F.batch_norm, x[:0], mean, var, weight, bias)


def test_batch_norm_asks_the_mode() -> None:
    args: dict[str, Any] = {"input": Value("float32", (2, 3)), "eps": 1e-3}
    args |= {"running_mean": ..., "running_var": ...}
    args["training"] = Leaf(("training",), "st", "bool", ())
    assert template(Op("batch_norm", args)) == (
        "batch_norm_training(input, eps=eps) if training "
        "else batch_norm(input, running_mean, running_var, eps=eps)"
    )


@pytest.mark.parametrize("momentum", [0.1, 0.4])
def test_batch_norm_update(momentum: float) -> None:
    x, mean, var = torch.randn(4, 3, 6), torch.randn(3), torch.rand(3)
    args = {
        "input": Value("float32", (4, 3, 6)),
        "running_mean": ...,
        "running_var": ...,
    }
    expected = "batch_norm_update(input, running_mean, running_var)"
    assert template(Op("batch_norm_update", args)) == expected
    ours = batch_norm_update(x.numpy(), mean.numpy(), var.numpy(), momentum=momentum)
    high = mean.double(), var.double()
    F.batch_norm(x.double(), *high, training=True, momentum=momentum)
    F.batch_norm(x, mean, var, training=True, momentum=momentum)
    compare(ours, (mean, var), high)


def torch_state(layer: Any, *, training: bool = True) -> BatchNormState:
    return BatchNormState(
        layer.running_mean.numpy().copy(),
        layer.running_var.numpy().copy(),
        layer.num_batches_tracked.numpy().copy(),
        training,
    )


def states_match(ours: BatchNormState, low: Any, high: Any) -> None:
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        compare(getattr(ours, name), getattr(low, name), getattr(high, name), name)


def run_layer(
    function: Callable[..., Any],
    layer: Any,
    x: torch.Tensor,
    steps: int,
    **options: Any,
) -> None:
    """Some training steps, then evaluation: results and states beside torch's."""
    high = type(layer)(
        layer.num_features,
        momentum=layer.momentum,
        affine=layer.affine,
        track_running_stats=True,
    ).double()
    high.load_state_dict(layer.state_dict())
    given = (None,) if function is instance_norm_layer else ()
    if layer.affine:
        with torch.no_grad():
            layer.weight.normal_()
            layer.bias.normal_()
            high.weight.copy_(layer.weight)
            high.bias.copy_(layer.bias)
        given = (Affine(layer.weight.detach().numpy(), layer.bias.detach().numpy()),)
    st = torch_state(layer)
    with torch.no_grad():
        for step in range(steps):
            batch = x * (step + 1) + step
            y, st = function(batch.numpy(), *given, st, **options)
            compare(y, layer(batch), high(batch.double()))
            states_match(st, layer, high)
        layer.eval()
        high.eval()
        y, st2 = function(x.numpy(), *given, st._replace(training=False), **options)
        compare(y, layer(x), high(x.double()))
    assert st2 == st._replace(training=False)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
def test_batch_norm_layer(affine: bool, momentum: float | None) -> None:
    options = {} if momentum == 0.1 else {"momentum": momentum}
    for layer, shape in (
        (nn.BatchNorm1d, (5, 3)),
        (nn.BatchNorm1d, (2, 3, 7)),
        (nn.BatchNorm2d, (2, 3, 4, 5)),
        (nn.BatchNorm3d, (2, 3, 2, 3, 2)),
    ):
        torch_layer = layer(3, momentum=momentum, affine=affine)
        function = batch_norm_layer if affine else batch_norm_plain
        run_layer(function, torch_layer, torch.randn(shape), 3, **options)


@pytest.mark.parametrize("affine", [False, True])
def test_instance_norm_layer(affine: bool) -> None:
    for layer, shape in (
        (nn.InstanceNorm1d, (2, 3, 7)),
        (nn.InstanceNorm2d, (2, 3, 4, 5)),
        (nn.InstanceNorm3d, (1, 3, 2, 3, 2)),
    ):
        torch_layer = layer(3, affine=affine, track_running_stats=True)
        run_layer(instance_norm_layer, torch_layer, torch.randn(shape), 3)


def test_instance_norm_without_a_batch() -> None:
    low = nn.InstanceNorm1d(3, affine=True, track_running_stats=True)
    high = copy.deepcopy(low).double()
    ps = Affine(low.weight.detach().numpy(), low.bias.detach().numpy())
    x, st = torch.randn(3, 7), torch_state(low)
    with torch.no_grad():
        y, st = instance_norm_unbatched(x.numpy(), ps, st)
        compare(y, low(x), high(x.double()))
    states_match(st, low, high)


def test_batch_norm_of_many_rows_keeps_its_precision() -> None:
    layer = nn.BatchNorm1d(3)
    run_layer(batch_norm_layer, layer, torch.randn(50_000, 3) + 1, 1)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1), (1, 3, 1, 1)])
def test_one_value_per_channel_raises_as_torch_does(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    with pytest.raises(ValueError, match="more than 1 value per channel") as theirs:
        F.batch_norm(x, None, None, training=True)
    st = BatchNormState(np.zeros(3, np.float32), np.ones(3, np.float32), np.asarray(0))
    with pytest.raises(ValueError, match="more than 1 value per channel") as ours:
        batch_norm_plain(x.numpy(), st)
    assert str(ours.value)[:60] == str(theirs.value)[:60]
    batch_norm_plain(x.numpy(), st._replace(training=False))


def test_layers_as_templates() -> None:
    x = Value("float32", (2, 3, 4))
    rows = [
        ("batch_norm_layer", {"ps": (x, x)}, "batch_norm_layer(input, ps, state)"),
        (
            "batch_norm_layer",
            {"ps": None, "momentum": None, "eps": 1e-3},
            "batch_norm_plain(input, state, momentum=momentum, eps=eps)",
        ),
        (
            "instance_norm_layer",
            {"ps": ..., "momentum": None},
            "instance_norm_layer(input, ps, state, momentum=0.0)",
        ),
        (
            "instance_norm_layer",
            {"ps": ..., "unbatched": True},
            "instance_norm_unbatched(input, ps, state)",
        ),
    ]
    for name, args, expected in rows:
        assert template(Op(name, {"input": x, **args}), stateful=True) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_local_response_norm(size: int) -> None:
    for shape in ((2, 6, 5), (2, 6, 3, 4), (2, 3)):
        x = torch.randn(shape) * 10
        if len(shape) > 2:
            check(F.local_response_norm, x, size)
            check(F.local_response_norm, x, size, alpha=0.3, beta=0.5, k=2.0)


@pytest.mark.parametrize("p", [2.0, 1.0, 3.0, 0.5, float("inf"), 0.0])
@pytest.mark.parametrize("dim", [1, 0, -1])
def test_normalize(p: float, dim: int) -> None:
    x = torch.randn(3, 4, 5)
    check(F.normalize, x, p, dim)
    check(F.normalize, torch.zeros(2, 3), p, dim)
    check(F.normalize, x * 1e-3, p, dim, eps=0.5)


def test_normalize_over_several_axes() -> None:
    check(F.normalize, torch.randn(3, 4, 5), dim=(1, 2))
    check(F.normalize, torch.randn(3, 4, 5), 3.0, dim=(-1,))
    check(F.normalize, torch.randn(4), dim=0)
    check(F.normalize, torch.tensor(-3.0), dim=0)
    with pytest.raises(Refused, match="several dims"):
        lowered(F.normalize, (torch.randn(3, 4, 5), 3.0), {"dim": (1, 2)})


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_weight_norm(dim: int) -> None:
    v = torch.randn(3, 4, 5)
    g = torch.norm_except_dim(v, 2, dim) * torch.rand(1)
    check(torch.norm_except_dim, v, 2, dim)
    check(torch.norm_except_dim, v, 1, dim)
    check(torch._weight_norm, v, g, dim)
    check(torch._weight_norm, torch.randn(6, 2), torch.rand(6, 1))
