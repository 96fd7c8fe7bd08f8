"""VJP rows of normalisations against torch.autograd, layers with state included."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from luxgen.ir.values import Leaf, Value
from luxgen.ops.batch_norm import BatchNormState
from luxgen.passes.vjp.row import NoGradient
from luxgen.targets.numpy.rules import template
from luxgen.targets.numpy.rules.op import Op as View
from tests.ops.gradcheck import Weights, check_stateful, check_vjp, t

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def far(*shape: int) -> torch.Tensor:
    """Away from zero, where variances cancel."""
    return (torch.randn(*shape) * 3 + 5).requires_grad_()


@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 3, 6), (0, 6), (3, 1)])
@pytest.mark.parametrize("given", [(), ("weight",), ("weight", "bias"), ("bias",)])
def test_layer_norm(shape: tuple[int, ...], given: tuple[str, ...]) -> None:
    affine = {name: t(*shape[-1:]) for name in given}
    check_vjp(F.layer_norm, far(*shape), shape[-1:], **affine)
    check_vjp(F.layer_norm, far(*shape), shape[-1:], eps=0.5, **affine)


def test_layer_norm_over_several_axes() -> None:
    check_vjp(F.layer_norm, t(2, 3, 4, 5), (4, 5), t(4, 5), t(4, 5))
    check_vjp(F.layer_norm, t(2, 3, 4), (2, 3, 4))
    check_vjp(F.layer_norm, t(2, 3, 4), (2, 3, 4), t(2, 3, 4), t(2, 3, 4))
    check_vjp(torch.native_layer_norm, t(2, 3, 4), (3, 4), t(3, 4), t(3, 4), 1e-3)
    check_vjp(F.layer_norm, t(3, 4, dtype=torch.float64), (4,), None, None)


def test_layer_norm_far_from_zero() -> None:
    check_vjp(F.layer_norm, (torch.randn(8, 64) + 1000).requires_grad_(), (64,))


def test_layer_norm_is_two_results() -> None:
    text = check_vjp(F.layer_norm, t(2, 3, 6), (6,), t(6), t(6)).splitlines()
    assert text[1:] == [
        "layer_norm_affine_backward(v0, v1, v2)",
        "v0.sum(axis=(0, 1))",
    ]


def test_rms_norm() -> None:
    check_vjp(F.rms_norm, t(2, 3, 6), (6,), t(6))
    check_vjp(F.rms_norm, t(2, 3, 6), (3, 6), t(3, 6), 1e-3)
    check_vjp(F.rms_norm, t(4, 6), (6,))
    check_vjp(F.rms_norm, t(0, 6), (6,), t(6), 1e-6)
    check_vjp(F.rms_norm, t(2, 6, dtype=torch.complex64), (6,), t(6), 1e-3)


@pytest.mark.parametrize("shape", [(3, 6), (2, 6, 5), (3, 6, 4, 5), (0, 6, 4)])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_norm(shape: tuple[int, ...], groups: int) -> None:
    if groups == 6 and len(shape) == 2:
        return  # one value per group raises in torch
    check_vjp(F.group_norm, far(*shape), groups)
    check_vjp(F.group_norm, far(*shape), groups, t(6), t(6), 0.1)
    check_vjp(F.group_norm, far(*shape), groups, t(6))


def test_native_group_norm() -> None:
    """Through the means and the reciprocal deviations, too."""
    for shape in ((2, 6, 5), (3, 6), (2, 6, 2, 3)):
        sizes = (shape[0], 6, math.prod(shape[2:]))
        check_vjp(torch.native_group_norm, t(*shape), t(6), t(6), *sizes, 2, 1e-3)
        check_vjp(torch.native_group_norm, t(*shape), None, None, *sizes, 3, 1e-3)


def test_instance_norm_with_running_statistics() -> None:
    check_vjp(F.instance_norm, t(2, 3, 5), torch.zeros(3), torch.ones(3), t(3), t(3))


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_of_an_empty_vector(training: bool) -> None:
    mean, var = torch.zeros(0), torch.ones(0)
    check_vjp(F.batch_norm, t(0), mean, var, training=training)
    args = {"input": Value("float32", (0,)), "running_mean": ..., "running_var": ...}
    assert template(View("batch_norm_update", args)) == "(running_mean, running_var)"


@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 3, 4, 5), (1, 3, 2, 3, 4)])
def test_instance_norm(shape: tuple[int, ...]) -> None:
    check_vjp(F.instance_norm, t(*shape))
    check_vjp(F.instance_norm, t(*shape), None, None, t(3), t(3), eps=1e-2)
    mean, var = torch.randn(3), torch.rand(3)
    stats = {"use_input_stats": False}
    check_vjp(F.instance_norm, t(*shape), mean, var, t(3), t(3), **stats)


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 6), (2, 3, 4, 5), (2, 3, 2, 2, 2)])
@pytest.mark.parametrize("training", [False, True])
def test_batch_norm(shape: tuple[int, ...], training: bool) -> None:
    mean, var = torch.randn(3), torch.rand(3) + 0.1

    def norm(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> None:
        stats = (None, None) if training else (mean, var)
        check_vjp(F.batch_norm, x, *stats, weight, bias, training, eps=eps)

    norm(far(*shape))
    norm(far(*shape), t(3), t(3), 1e-2)
    norm(far(*shape), None, t(3))
    norm(t(*shape), t(3))


def test_batch_norm_of_many_rows_keeps_its_precision() -> None:
    x = (torch.randn(20_000, 3) + 1).requires_grad_()
    check_vjp(F.batch_norm, x, None, None, t(3), None, True)


def test_batch_norm_asks_the_mode() -> None:
    value = Value("float32", (4, 3), (4, 3))
    mode = Leaf(("training",), "st", "bool", ())
    args = {"d": value, "input": value, "running_mean": value, "running_var": value}
    assert template(View("batch_norm_backward", {**args, "training": mode})) == (
        "batch_norm_training_backward(d, input) if training "
        "else batch_norm_backward(d, input, running_mean, running_var)"
    )


def state(training: bool) -> BatchNormState:
    generator = np.random.default_rng(0)
    mean = generator.normal(size=3).astype(np.float32)
    var = generator.uniform(0.5, 2, 3).astype(np.float32)
    return BatchNormState(mean, var, np.array(3), training)


def by_torch(name: str, training: bool, momentum: float | None) -> Any:
    """The layer by torch's function, on copies of our statistics."""

    def reference(
        input: torch.Tensor,
        ps: Weights | None,
        eps: float = 1e-5,
        unbatched: bool = False,
        **_: Any,
    ) -> torch.Tensor:
        if unbatched:
            return reference(input[None], ps, eps)[0]
        st = state(training)
        mean, var = (
            torch.from_numpy(a.copy()).to(input.dtype)
            for a in (st.running_mean, st.running_var)
        )
        weight, bias = (*(ps or ()), None, None)[:2]
        if name == "batch_norm_layer":
            given = (input, mean, var, weight, bias, training)
            return F.batch_norm(*given, momentum=momentum or 0.5, eps=eps)
        return F.instance_norm(
            input, mean, var, weight, bias, training, momentum or 0.0, eps
        )

    return reference


@pytest.mark.parametrize("name", ["batch_norm_layer", "instance_norm_layer"])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("leaves", [0, 1, 2])
def test_layers(name: str, training: bool, leaves: int) -> None:
    if name == "instance_norm_layer" and leaves == 1:
        return  # nn.InstanceNorm has both or none
    ps = Weights(t(3) for _ in range(leaves)) or None
    for shape in ((4, 3, 5), (2, 3, 4, 3)):
        for momentum in (0.1, 0.4, None):
            args = {"input": far(*shape), "ps": ps, "eps": 1e-3}
            args |= {} if momentum == 0.1 else {"momentum": momentum}
            reference = by_torch(name, training, momentum)
            check_stateful(name, args, state(training), reference)
    if name == "batch_norm_layer":
        args = {"input": far(4, 3), "ps": ps}
        check_stateful(name, args, state(training), by_torch(name, training, 0.1))


def test_batch_norm_layer_of_nothing() -> None:
    args = {"input": t(0, 3, 4), "ps": Weights((t(3), t(3)))}
    for training in (False, True):
        reference = by_torch("batch_norm_layer", training, 0.1)
        check_stateful("batch_norm_layer", args, state(training), reference)


@pytest.mark.parametrize("training", [False, True])
def test_instance_norm_without_a_batch(training: bool) -> None:
    args = {"input": far(3, 7), "ps": Weights((t(3), t(3))), "unbatched": True}
    check_stateful(
        "instance_norm_layer",
        args,
        state(training),
        by_torch("instance_norm_layer", training, 0.1),
    )
    args["ps"] = None
    text = check_stateful(
        "instance_norm_layer",
        args,
        state(training),
        by_torch("instance_norm_layer", training, 0.1),
    )
    assert text.splitlines() == [
        "with_state(instance_norm_unbatched(v1, None, state), state)",
        "instance_norm_unbatched_backward(v0, v1, None, v2)[0]",
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_local_response_norm(size: int) -> None:
    for shape in ((2, 6, 5), (2, 6, 3, 4), (2, 1, 4)):
        x = (torch.randn(shape) * 10).requires_grad_()
        check_vjp(F.local_response_norm, x, size)
        check_vjp(F.local_response_norm, x, size, alpha=0.3, beta=0.5, k=2.0)


@pytest.mark.parametrize("p", [2.0, 1.0, 3.0, 0.5, 1.5, float("inf"), 0.0])
@pytest.mark.parametrize("dim", [1, 0, -1])
def test_normalize(p: float, dim: int) -> None:
    check_vjp(F.normalize, t(3, 4, 5), p, dim)
    check_vjp(F.normalize, (torch.randn(3, 4, 5) * 1e-3).requires_grad_(), p, dim, 0.5)
    x = torch.randn(3, 4)
    x[1] = 0
    if p > 1:
        check_vjp(F.normalize, x.requires_grad_(), p, dim)


def test_normalize_over_several_axes() -> None:
    check_vjp(F.normalize, t(3, 4, 5), dim=(1, 2))
    check_vjp(F.normalize, t(3, 4, 5), 3.0, dim=(-1,))
    check_vjp(F.normalize, t(4), dim=0)
    check_vjp(F.normalize, torch.tensor(-3.0, requires_grad=True), dim=0)
    with pytest.raises(NoGradient, match="complex"):
        check_vjp(F.normalize, t(3, 4, dtype=torch.complex64))


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_weight_norm(dim: int) -> None:
    v = t(3, 4, 5)
    length = torch.rand_like(torch.norm_except_dim(v, 2, dim)).requires_grad_()
    check_vjp(torch._weight_norm, v, length, dim)
    check_vjp(torch.norm_except_dim, v, 2, dim)
    check_vjp(torch.norm_except_dim, v, 1, dim)
    check_vjp(torch.norm_except_dim, v, 3, dim)
