"""Losses with their gradients against torch.autograd."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from luxgen.ops import loss_gradient
from tests.ops.opcheck import compare

TORCH: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "nll": F.nll_loss,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "smooth_l1": F.smooth_l1_loss,
    "huber": F.huber_loss,
    "bce_with_logits": F.binary_cross_entropy_with_logits,
}
REGRESSION = ["mse", "l1", "smooth_l1", "huber"]


def check(name: str, y: Tensor, target: Tensor) -> None:
    """Loss and gradient beside torch's, with torch in float64 as the judge."""
    ours_of = getattr(loss_gradient, f"{name}_and_gradient")
    arrays = y.numpy().copy(), target.numpy().copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = ours_of(*arrays)
    np.testing.assert_array_equal(arrays[0], y.numpy())
    np.testing.assert_array_equal(arrays[1], target.numpy())

    def reference(y: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        y = y.detach().clone().requires_grad_()
        loss = TORCH[name](y, target)
        return loss.detach(), torch.autograd.grad(loss, y)[0]

    wide = target.double() if target.is_floating_point() else target
    compare(ours, reference(y, target), reference(y.double(), wide), name)


def classes(c: int, *shape: int) -> Tensor:
    return torch.randint(0, c, shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(7, 5), (4, 5, 3), (2, 5, 3, 4), (5,), (1, 1)])
def test_classes(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    c = shape[min(1, len(shape) - 1)]
    target = classes(c, *shape[:1], *shape[2:]) if len(shape) > 1 else classes(c)
    check("cross_entropy", 3 * torch.randn(shape, dtype=dtype), target)
    check("nll", torch.randn(shape, dtype=dtype).log_softmax(-1), target)


@pytest.mark.parametrize("shape", [(7, 5), (4, 5, 3), (2, 5, 3, 4), (5,), (0, 5)])
def test_probabilities(shape: tuple[int, ...]) -> None:
    y, p = 3 * torch.randn(shape), torch.randn(shape).softmax(min(1, len(shape) - 1))
    check("cross_entropy", y, p)
    check("cross_entropy", y, 2 * p)  # sums that aren't 1


@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
def test_ignored_classes(name: str) -> None:
    y, target = torch.randn(6, 5, 2).log_softmax(1), classes(5, 6, 2)
    target[::2, 0] = -100
    check(name, y, target)
    check(name, y, torch.full_like(target, -100))  # NaN, and no gradient
    check(name, y[0, :, 0], torch.tensor(-100))


@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
def test_classes_on_the_last_dim(name: str) -> None:
    """What a model of sequences returns, (N, T, C), as torch gives it on (N T, C)."""
    y, target = torch.randn(3, 4, 5).log_softmax(-1), classes(5, 3, 4)
    ours_of = getattr(loss_gradient, f"{name}_and_gradient")
    loss, d_y = ours_of(y.numpy(), target.numpy(), dim=-1)
    flat, d_flat = ours_of(y.numpy().reshape(-1, 5), target.numpy().ravel())
    np.testing.assert_allclose(loss, flat, rtol=1e-6)
    np.testing.assert_allclose(d_y.reshape(-1, 5), d_flat, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e3, 1e30, 1e-30])
def test_cross_entropy_of_extreme_logits(scale: float) -> None:
    y = scale * torch.randn(5, 4)
    check("cross_entropy", y, classes(4, 5))
    check("cross_entropy", y, torch.rand(5, 4))


def test_masked_logits() -> None:
    y = torch.randn(3, 4)
    y[:, 3] = -torch.inf
    check("cross_entropy", y, classes(3, 3))


@pytest.mark.parametrize("name", [*REGRESSION, "bce_with_logits"])
@pytest.mark.parametrize("shape", [(6,), (4, 3), (2, 3, 5), (), (0, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_entries(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    check(name, 2 * torch.randn(shape, dtype=dtype), torch.rand(shape, dtype=dtype))


@pytest.mark.parametrize("name", REGRESSION)
def test_kinks(name: str) -> None:
    """Where the pieces meet, and the derivative at zero."""
    check(name, torch.tensor([0.0, 1.0, -1.0, 1.5, -1.5, 0.5]), torch.zeros(6))


@pytest.mark.parametrize("scale", [100.0, 1e4, 1e38])
def test_bce_of_extreme_logits(scale: float) -> None:
    y = scale * torch.tensor([-1.0, 1.0, -0.5, 0.5])
    check("bce_with_logits", y, torch.tensor([0.0, 1.0, 1.0, 0.3]))


@pytest.mark.parametrize("kind", [np.float64, np.int64, np.bool_])
def test_gradient_keeps_the_dtype_of_y(kind: type) -> None:
    """Targets that NumPy makes by default don't widen the backward pass."""
    y, target = np.ones((3, 2), np.float32), np.eye(3, 2).astype(kind)
    for name in (*REGRESSION, "bce_with_logits", "cross_entropy"):
        loss, d_y = getattr(loss_gradient, f"{name}_and_gradient")(y, target)
        assert loss.dtype == d_y.dtype == np.float32, name


@pytest.mark.parametrize("name", [*REGRESSION, "bce_with_logits"])
def test_another_shape_is_refused(name: str) -> None:
    """torch would broadcast (4, 1) and (4,) to (4, 4), with a warning."""
    with pytest.raises(ValueError, match=r"shape \(4, 1\), not \(4,\)"):
        getattr(loss_gradient, f"{name}_and_gradient")(np.ones((4, 1)), np.ones(4))


@pytest.mark.parametrize(
    "target, message",
    [
        (np.array([0, 3]), "outside 0 ... 2"),
        (np.array([0, -1]), "outside 0 ... 2"),
        (np.array([0.0, 1.0]), r"integers \(2,\), not float64 \(2,\)"),
        (np.array([[0], [1]]), r"integers \(2,\), not int64 \(2, 1\)"),
    ],
)
def test_impossible_classes_are_refused(target: np.ndarray, message: str) -> None:
    for name in ("cross_entropy", "nll"):
        with pytest.raises(ValueError, match=message):
            getattr(loss_gradient, f"{name}_and_gradient")(np.ones((2, 3)), target)
