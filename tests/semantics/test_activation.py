"""Activations and losses end to end."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.semantics.agree import agree


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


ACTIVATIONS: list[Callable[[], nn.Module]] = [
    nn.ReLU, nn.ReLU6, nn.GELU, lambda: nn.GELU("tanh"), nn.SiLU, nn.Mish, nn.ELU, nn.SELU,
    nn.CELU, lambda: nn.CELU(0.5), nn.Softplus, lambda: nn.Softplus(2.0, 3.0), nn.Softsign,
    nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, lambda: nn.Hardtanh(-0.3, 0.7), nn.Hardshrink,
    nn.Softshrink, nn.Tanhshrink, nn.Sigmoid, nn.LogSigmoid, nn.Tanh, lambda: nn.Threshold(0.1, 20.0),
    nn.LeakyReLU, lambda: nn.LeakyReLU(-0.2), nn.PReLU, lambda: nn.PReLU(4), lambda: nn.GLU(1),
    lambda: nn.Softmax(-1), lambda: nn.Softmin(0), lambda: nn.LogSoftmax(1), nn.Identity,
    lambda: nn.Softmax2d(),
]  # fmt: skip


def test_all_in_one() -> None:
    """One module with every activation, at ordinary, large and special values."""

    class All(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([make() for make in ACTIVATIONS])

        def forward(self, x: Tensor) -> list[Tensor]:
            return [layer(x) for layer in self.layers]

    ordinary = torch.randn(3, 4, 2, 2)
    agree(
        All(),
        ordinary,
        modes=("eval",),
        others=((ordinary * 50,), (torch.zeros(2, 4, 2, 2),)),
    )


def test_softmax_without_a_dim() -> None:
    """Deprecated, and its dim depends on the rank: 0 for 0, 1 and 3 dims, else 1."""

    class Implicit(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return (
                    F.softmax(x),
                    F.softmax(x[0]),
                    F.softmax(x[None]),
                    F.log_softmax(x[None, None]),
                    F.softmin(x),
                )

    agree(Implicit(), torch.randn(3, 4), modes=("eval",))


def test_rrelu_is_random_in_training() -> None:
    model = nn.Sequential(nn.RReLU(0.1, 0.9), nn.Linear(4, 2))
    agree(model, torch.randn(3, 4), modes=("eval",))


def test_infinities() -> None:
    class Masks(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            y = x.masked_fill(x > 0, float("-inf"))
            return (y.softmax(-1), y.log_softmax(-1), y.logsumexp(-1), y.sigmoid(), y.exp(), F.silu(-y),
                    torch.tanh(y), F.softplus(y), F.logsigmoid(y), F.elu(y), y.logcumsumexp(0))  # fmt: skip

    data = torch.randn(3, 4)
    data[0] = 1.0  # a row of -inf only
    with np.errstate(invalid="ignore"):  # NaN, as torch gives it
        agree(Masks(), data, modes=("eval",))


WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.1])


def of_classes(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    ignored = y.masked_fill(y == 1, -100)
    return (F.cross_entropy(x, y), F.cross_entropy(x, y, WEIGHTS), F.cross_entropy(x, ignored, WEIGHTS),
            F.cross_entropy(x, y, label_smoothing=0.1), F.cross_entropy(x, y, WEIGHTS, label_smoothing=0.2),
            F.cross_entropy(x, y, reduction="none"), F.cross_entropy(x, x.softmax(1), reduction="sum"),
            F.nll_loss(x.log_softmax(1), ignored, WEIGHTS), F.multi_margin_loss(x, y),
            F.cross_entropy(x, y * 0 - 100, reduction="sum"), F.multilabel_margin_loss(x, y[:, None].expand(-1, 4)))  # fmt: skip


def of_numbers(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    p, t = x.sigmoid(), y.sigmoid()
    return (F.mse_loss(x, y), F.l1_loss(x, y, reduction="sum"), F.smooth_l1_loss(x, y), F.smooth_l1_loss(x, y, beta=0.0),
            F.huber_loss(x, y, delta=0.5), F.binary_cross_entropy(p, t, WEIGHTS),
            F.binary_cross_entropy_with_logits(x * 30, t, pos_weight=WEIGHTS), F.kl_div(p.log(), t),
            F.kl_div(p.log(), t, reduction="batchmean"), F.kl_div(p.log(), t.log(), log_target=True),
            F.gaussian_nll_loss(x, y, t), F.gaussian_nll_loss(x, y, t * 0, full=True), F.poisson_nll_loss(x, t),
            F.poisson_nll_loss(x, t * 9, full=True), F.soft_margin_loss(x, y.sign()), F.hinge_embedding_loss(x, y.sign()),
            F.cosine_embedding_loss(x, y, y[:, 0].sign()), F.margin_ranking_loss(x, y, y.sign()),
            F.triplet_margin_loss(x, y, x + y), F.multilabel_soft_margin_loss(x, t.round()))  # fmt: skip


class Loss(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor, y: Tensor) -> Any:
        return self.function(x, y)


def test_losses_of_classes() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agree(
            Loss(of_classes),
            torch.randn(6, 4),
            torch.tensor([0, 1, 2, 3, 0, 2]),
            modes=("eval",),
            batches=(),
        )


def test_losses_of_numbers() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agree(Loss(of_numbers), torch.randn(3, 4), torch.randn(3, 4), modes=("eval",))


class WithLoss(nn.Module):
    """A model that returns its loss where it is given labels, as many do."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.criterion = (
            nn.Linear(4, 3),
            nn.CrossEntropyLoss(label_smoothing=0.1),
        )

    def forward(self, x: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        logits = self.fc(x)
        if labels is None:
            return {"logits": logits}
        return {"loss": self.criterion(logits, labels), "logits": logits}


def test_loss_where_there_are_labels() -> None:
    agree(WithLoss(), torch.randn(3, 4))
    agree(WithLoss(), torch.randn(3, 4), labels=torch.tensor([0, 2, 1]))
