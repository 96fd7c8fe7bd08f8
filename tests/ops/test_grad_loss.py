"""VJP rows of losses against torch.autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from luxgen.passes.vjp.row import NoGradient
from tests.ops.gradcheck import check_vjp, t

pytestmark = [
    pytest.mark.filterwarnings("error::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:Using a target size"),
    pytest.mark.filterwarnings("ignore:size_average and reduce"),
]
REDUCTIONS = ["mean", "sum", "none"]


def unit(*shape: int) -> torch.Tensor:
    return (torch.rand(shape) * 0.98 + 0.01).requires_grad_()


def signs(*shape: int) -> torch.Tensor:
    return torch.randint(0, 2, shape) * 2.0 - 1


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("func", "options"),
    [
        (F.mse_loss, {}),
        (F.l1_loss, {}),
        (F.smooth_l1_loss, {}),
        (F.smooth_l1_loss, {"beta": 0.5}),
        (F.smooth_l1_loss, {"beta": 0.0}),
        (F.huber_loss, {}),
        (F.huber_loss, {"delta": 0.5}),
    ],
)
def test_regression(
    func: Callable[..., Any], options: dict[str, Any], reduction: str
) -> None:
    options = {**options, "reduction": reduction}
    check_vjp(func, t(3, 4), t(3, 4), **options)
    check_vjp(func, t(), t(), **options)
    check_vjp(func, t(3, 4, dtype=torch.float64), t(3, 4).double().detach(), **options)
    x = torch.tensor([0.5, 1.0, -1.0, 0.0, -0.5]).requires_grad_()  # at the kinks
    check_vjp(func, x, torch.zeros(5, requires_grad=True), **options)
    if func is not F.smooth_l1_loss:
        check_vjp(func, t(3, 4), t(3, 4), weight=unit(3, 4), **options)
    if func is F.mse_loss:
        check_vjp(func, t(3, 4), t(3, 1), **options)


def test_legacy_reductions() -> None:
    check_vjp(F.mse_loss, t(3, 4), t(3, 4), size_average=False)
    check_vjp(F.mse_loss, t(3, 4), t(3, 4), reduce=False)
    check_vjp(F.nll_loss, t(3, 4), torch.tensor([0, 3, 1]), size_average=True)
    check_vjp(torch.kl_div, t(3, 4), unit(3, 4), 2)


def test_the_mean_of_squares_reads_well() -> None:
    assert check_vjp(F.mse_loss, t(3, 4), torch.randn(3, 4)).splitlines()[1:] == [
        "v0 - v1",
        "2 * v0",
        "v0 / np.float32(v1.size)",
        "v0 * v1",
    ]


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropy(reduction: str) -> None:
    options = {"reduction": reduction}
    check_vjp(F.binary_cross_entropy, unit(3, 4), unit(3, 4), **options)
    check_vjp(F.binary_cross_entropy, unit(3, 4), unit(3, 4), torch.rand(4), **options)
    ends = torch.tensor([0.0, 1.0, 0.0, 1.0, 1e-7]).requires_grad_()
    check_vjp(F.binary_cross_entropy, ends, torch.tensor([0.0, 0, 1, 1, 1]), **options)
    check_vjp(F.binary_cross_entropy, ends, unit(5), **options)
    logits = F.binary_cross_entropy_with_logits
    check_vjp(logits, t(3, 4), unit(3, 4), **options)
    check_vjp(logits, t(3, 4), unit(3, 4), torch.rand(3, 1), **options)
    far = torch.tensor([-200.0, -30.0, 0.0, 30.0, 200.0]).requires_grad_()
    check_vjp(logits, far, unit(5), pos_weight=torch.rand(5), **options)
    weights = {"weight": torch.rand(4), "pos_weight": torch.rand(4)}
    check_vjp(logits, t(3, 4), unit(3, 4), **weights, **options)


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(reduction: str, log_target: bool) -> None:
    options = {"reduction": reduction, "log_target": log_target}
    target = t(3, 4) if log_target else unit(3, 4)
    check_vjp(F.kl_div, t(3, 4), target, **options)
    check_vjp(F.kl_div, t(), unit(), **options)
    check_vjp(F.kl_div, t(2, 3, 4), target, **options)
    one_hot = F.one_hot(torch.tensor([1, 0, 2]), 4).float()
    check_vjp(F.kl_div, t(3, 4), one_hot, **options)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_likelihoods(reduction: str) -> None:
    options = {"reduction": reduction}
    target = (torch.rand(3, 4) * 4).requires_grad_()
    for full in (False, True):
        check_vjp(F.poisson_nll_loss, t(3, 4), target, full=full, **options)
        given = {"log_input": False, "full": full, **options}
        check_vjp(F.poisson_nll_loss, unit(3, 4), target, **given)
        for var in (unit(3, 4), unit(3, 1), unit(3)):
            check_vjp(F.gaussian_nll_loss, t(3, 4), t(3, 4), var, full=full, **options)
    check_vjp(F.gaussian_nll_loss, t(3, 4), t(3, 4), 0.5, **options)
    small = torch.tensor([[1e-9, 2.0], [0.0, 1.0]]).requires_grad_()
    check_vjp(F.gaussian_nll_loss, t(2, 2), t(2, 2), small, eps=1e-3, **options)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_margins(reduction: str) -> None:
    options: dict[str, Any] = {"reduction": reduction}
    check_vjp(F.soft_margin_loss, t(3, 4), signs(3, 4), **options)
    far = torch.tensor([-60.0, 60.0, 0.0]).requires_grad_()  # torch: NaN from -89 on
    check_vjp(F.soft_margin_loss, far, torch.ones(3), **options)
    x = torch.tensor([1.0, 0.5, 2.0, 1.0, -1.0]).requires_grad_()
    for margin in (1.0, 0.5):
        check_vjp(F.hinge_embedding_loss, x, signs(5), margin=margin, **options)
    check_vjp(F.hinge_embedding_loss, x, torch.zeros(5), **options)
    check_vjp(F.margin_ranking_loss, t(5), t(5), signs(5), **options)
    target = signs(5).requires_grad_()
    check_vjp(F.margin_ranking_loss, x, t(5), target, margin=0.5, **options)
    same = x.detach().clone().requires_grad_()
    check_vjp(F.margin_ranking_loss, x, same, target, **options)  # at the kink
    soft = F.multilabel_soft_margin_loss
    check_vjp(soft, t(3, 4), unit(3, 4), **options)
    check_vjp(soft, t(4), unit(4), unit(4), **options)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cosine_embedding(reduction: str) -> None:
    loss = F.cosine_embedding_loss
    options: dict[str, Any] = {"reduction": reduction}
    check_vjp(loss, t(6, 4), t(6, 4), signs(6), **options)
    check_vjp(loss, t(6, 4), t(6, 4), signs(6), margin=0.3, **options)
    check_vjp(loss, t(4), t(4), torch.tensor(1.0), **options)
    zero = torch.zeros(2, 3, requires_grad=True)
    check_vjp(loss, zero, t(2, 3), torch.tensor([1.0, -1.0]), **options)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("swap", [False, True])
def test_triplets(reduction: str, swap: bool) -> None:
    options: dict[str, Any] = {"reduction": reduction, "swap": swap}
    for p in (2, 1, 3.5):
        check_vjp(F.triplet_margin_loss, t(8, 3), t(8, 3), t(8, 3), p=p, **options)
    check_vjp(F.triplet_margin_loss, t(3), t(3), t(3), margin=4.0, **options)
    check_vjp(F.triplet_margin_loss, t(8, 3), t(1, 3), t(8, 3), **options)
    own = F.triplet_margin_with_distance_loss
    check_vjp(own, t(5, 3), t(5, 3), t(5, 3), **options)
    distance = nn.PairwiseDistance(p=1.0, eps=1e-3)
    options["distance_function"] = distance
    check_vjp(own, t(5, 3), t(5, 3), t(5, 3), margin=2.0, **options)


def test_triplets_of_complex_numbers() -> None:
    z = [t(3, 4, dtype=torch.complex64) for _ in range(3)]
    check_vjp(F.triplet_margin_loss, *z)
    with pytest.raises(NoGradient, match="complex"):
        check_vjp(F.triplet_margin_loss, *z, p=1)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(reduction: str, smoothing: float, weighted: bool) -> None:
    options: dict[str, Any] = {"reduction": reduction, "label_smoothing": smoothing}
    if weighted:
        options["weight"] = torch.rand(5)
    loss = F.cross_entropy
    check_vjp(loss, t(4, 5), torch.tensor([0, 4, 4, 2]), **options)
    check_vjp(loss, t(4, 5), torch.tensor([0, -100, 4, 2]), **options)
    check_vjp(loss, t(4, 5), torch.tensor([0, 1, 4, 1]), ignore_index=1, **options)
    check_vjp(loss, t(2, 5, 3, 2), torch.randint(5, (2, 3, 2)), **options)
    check_vjp(loss, t(5), torch.tensor(3), **options)
    check_vjp(
        loss, (t(4, 5) * 100).detach().requires_grad_(), torch.arange(4), **options
    )
    for shape in ((4, 5), (2, 5, 3, 2), (5,)):
        p = torch.rand(shape).requires_grad_()
        check_vjp(loss, t(*shape), p, **options)
        if weighted:
            check_vjp(loss, t(*shape), p, **{**options, "weight": unit(5)})


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nll_loss(reduction: str) -> None:
    options = {"reduction": reduction}
    weight = torch.rand(5)
    check_vjp(F.nll_loss, t(4, 5), torch.tensor([0, 4, -100, 2]), **options)
    check_vjp(F.nll_loss, t(2, 5, 3), torch.randint(5, (2, 3)), weight, **options)
    check_vjp(F.nll_loss, t(5), torch.tensor(1), weight, **options)
    check_vjp(F.nll_loss, t(3, 5), torch.tensor([1, 1, 0]), ignore_index=1, **options)
    if reduction != "mean":  # of nothing the mean is NaN
        check_vjp(F.nll_loss, t(0, 5), torch.zeros(0, dtype=torch.long), **options)


def test_all_classes_ignored() -> None:
    """The loss is NaN; its gradient is 0, as in torch."""
    target = torch.full((4,), -100)
    with np.errstate(invalid="ignore"):
        check_vjp(F.cross_entropy, t(4, 5), target)
        weight = torch.rand(5)
        check_vjp(F.cross_entropy, t(4, 5), target, weight, label_smoothing=0.1)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_class_margins(reduction: str) -> None:
    options: dict[str, Any] = {"reduction": reduction}
    target = torch.tensor([0, 4, 4, 2])
    for p in (1, 2):
        given = {"p": p, "margin": 0.7, "weight": torch.rand(5), **options}
        check_vjp(F.multi_margin_loss, t(4, 5), target, **given)
        check_vjp(F.multi_margin_loss, t(5), torch.tensor(2), p=p, **options)
        check_vjp(F.multi_margin_loss, t(5), torch.tensor([2]), p=p, **options)
    labels = torch.tensor([[3, 0, -1, 1, 2], [1, 2, 3, 4, 0], [-1, 0, 0, 0, 0]])
    check_vjp(F.multilabel_margin_loss, t(3, 5), labels, **options)
    check_vjp(F.multilabel_margin_loss, t(5), labels[0], **options)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_linear_cross_entropy(reduction: str) -> None:
    loss = F.linear_cross_entropy
    options: dict[str, Any] = {"reduction": reduction}
    target = torch.tensor([0, 4, 2])
    check_vjp(loss, t(3, 6), t(5, 6), target, linear_bias=t(5), **options)
    check_vjp(loss, t(6), t(5, 6), torch.tensor(1), **options)
    given = {"weight": torch.rand(5), "label_smoothing": 0.1, **options}
    check_vjp(loss, t(3, 6), t(5, 6), target, **given)
    check_vjp(loss, t(3, 6), t(5, 6), unit(3, 5), **options)
    spread = torch.randint(5, (3, 2))
    check_vjp(loss, t(3, 6), t(5, 2, 6), spread, linear_bias=t(5, 2), **options)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_ctc(reduction: str) -> None:
    options: dict[str, Any] = {"reduction": reduction}
    scores = torch.randn(9, 3, 5).log_softmax(2).requires_grad_()
    targets = torch.tensor([[1, 2, 2, 4], [3, 3, 1, 1], [4, 1, 2, 1]])
    lengths = torch.tensor([9, 9, 6]), torch.tensor([4, 2, 3])
    check_vjp(F.ctc_loss, scores, targets, *lengths, **options)
    flat = torch.cat([row[:n] for row, n in zip(targets, lengths[1], strict=True)])
    check_vjp(F.ctc_loss, scores, flat, *lengths, **options)
    check_vjp(F.ctc_loss, scores, targets, (9, 9, 6), (4, 0, 3), **options)
    check_vjp(F.ctc_loss, scores, targets.clamp(max=3), *lengths, blank=4, **options)
    one = torch.randn(9, 5).log_softmax(1).requires_grad_()
    lone = torch.tensor([1, 2, 2]), torch.tensor(9), torch.tensor(3)
    check_vjp(F.ctc_loss, one, *lone, **options)
    plain = torch.randn(9, 3, 5, requires_grad=True)  # not normalised
    check_vjp(F.ctc_loss, plain, targets, *lengths, **options)


def test_ctc_that_is_impossible() -> None:
    """Too few steps: NaN as in torch, or 0 where infinities are zeroed."""
    scores = torch.randn(4, 2, 5).log_softmax(2).requires_grad_()
    given = (torch.tensor([[1, 2, 2, 4], [3, 1, 1, 1]]), (4, 4), (4, 2))
    check_vjp(F.ctc_loss, scores, *given, zero_infinity=True)
    check_vjp(F.ctc_loss, scores, *given, reduction="none")
