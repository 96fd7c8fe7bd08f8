"""Losses against torch: reductions, weights, ignored targets, edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from luxgen.ops.loss import gaussian_nll_loss
from luxgen.targets.numpy.rules.op import Refused
from tests.ops.opcheck import check, lowered

pytestmark = [
    pytest.mark.filterwarnings("error::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:.*size_average and reduce"),
    pytest.mark.filterwarnings("ignore:Using a target size"),
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides"),
]
REDUCTIONS: list[dict[str, Any]] = [
    {},
    {"reduction": "sum"},
    {"reduction": "none"},
    {"size_average": False},
    {"reduce": False},
    {"size_average": True, "reduce": True},
]
reductions = pytest.mark.parametrize("how", REDUCTIONS)
modern = pytest.mark.parametrize("how", REDUCTIONS[:3])
shapes = pytest.mark.parametrize("shape", [(3, 4), (7,), (2, 3, 4), ()])


@reductions
@shapes
@pytest.mark.parametrize(
    ("function", "options"),
    [
        (F.mse_loss, {}),
        (F.l1_loss, {}),
        (F.smooth_l1_loss, {}),
        (F.smooth_l1_loss, {"beta": 0.0}),
        (F.smooth_l1_loss, {"beta": 0.3}),
        (F.soft_margin_loss, {}),
        (F.hinge_embedding_loss, {}),
        (F.hinge_embedding_loss, {"margin": 0.25}),
        (F.poisson_nll_loss, {}),
        (F.poisson_nll_loss, {"full": True}),
    ],
)
def test_of_numbers(
    function: Callable[..., Any],
    options: dict[str, Any],
    shape: tuple[int, ...],
    how: dict[str, Any],
) -> None:
    x, target = torch.randn(shape) * 2, torch.randn(shape) * 2
    if function in (F.soft_margin_loss, F.hinge_embedding_loss):
        target = torch.sign(target)
    if function is F.poisson_nll_loss:
        target = target.abs()
    check(function, x, target, **options, **how)
    check(function, x.double(), target.double(), **options, **how)


@modern
@pytest.mark.parametrize("delta", [1.0, 0.3, 5.0])
def test_huber(how: dict[str, Any], delta: float) -> None:
    x, target, weight = torch.randn(3, 4) * 2, torch.randn(3, 4), torch.rand(3, 4)
    check(F.huber_loss, x, target, delta=delta, **how)
    check(F.huber_loss, x, target, delta=delta, weight=weight, **how)


@modern
@pytest.mark.parametrize("function", [F.mse_loss, F.l1_loss])
def test_weighted_regression(function: Callable[..., Any], how: dict[str, Any]) -> None:
    """The mean divides by the sum of the weights."""
    x, target = torch.randn(3, 4), torch.randn(3, 4)
    check(function, x, target, weight=torch.rand(3, 4), **how)
    check(function, x, torch.randn(4), **how)


def test_targets_of_other_dtypes() -> None:
    x = torch.randn(5)
    check(F.mse_loss, x, torch.arange(5))
    check(F.smooth_l1_loss, x.double(), torch.arange(5).float())
    signs = torch.tensor([1, -1, 1, 1, -1])
    check(F.soft_margin_loss, x, signs)
    check(F.hinge_embedding_loss, x, signs)
    check(F.margin_ranking_loss, x, torch.randn(5), signs)
    check(F.cosine_embedding_loss, torch.randn(5, 3), torch.randn(5, 3), signs)


@modern
@pytest.mark.parametrize("log_input", [True, False])
@pytest.mark.parametrize("full", [True, False])
def test_poisson_nll(how: dict[str, Any], log_input: bool, full: bool) -> None:
    x = torch.randn(4, 5) if log_input else torch.rand(4, 5) * 3
    target = torch.poisson(torch.full((4, 5), 1.5))
    options = {"log_input": log_input, "full": full, "eps": 1e-6}
    check(F.poisson_nll_loss, x, target, **options, **how)


@modern
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("shape", [(3, 4), (3, 1), (3,)])
def test_gaussian_nll(how: dict[str, Any], full: bool, shape: tuple[int, ...]) -> None:
    x, target = torch.randn(3, 4), torch.randn(3, 4)
    var = torch.rand(shape)
    var[1] = 1e-9  # held at eps
    check(F.gaussian_nll_loss, x, target, var, full, eps=1e-3, **how)
    check(F.gaussian_nll_loss, x, target, 0.7, full, **how)


def test_gaussian_nll_of_negative_variance_raises() -> None:
    x = torch.randn(3)
    with pytest.raises(ValueError, match="var has negative"):
        F.gaussian_nll_loss(x, x, -x.abs())
    with pytest.raises(ValueError, match="var has negative"):
        gaussian_nll_loss(x.numpy(), x.numpy(), -x.abs().numpy())


@reductions
@shapes
def test_binary_cross_entropy(shape: tuple[int, ...], how: dict[str, Any]) -> None:
    target, weight = torch.rand(shape), torch.rand(shape)
    for function, x in (
        (F.binary_cross_entropy, torch.rand(shape)),
        (F.binary_cross_entropy_with_logits, torch.randn(shape) * 5),
    ):
        check(function, x, target, **how)
        check(function, x.double(), target.double(), **how)
        check(function, x, target, weight, **how)
        check(function, x, (target > 0.5).float(), **how)


def test_binary_cross_entropy_at_the_ends() -> None:
    """Logarithms are held above -100."""
    x, target = torch.tensor([0.0, 1.0, 0.0, 1.0]), torch.tensor([0.0, 1.0, 1.0, 0.0])
    check(F.binary_cross_entropy, x, target, reduction="none")
    logits = torch.tensor([100.0, -100.0, 1e4, -1e4])
    options = {"reduction": "none"}
    check(F.binary_cross_entropy_with_logits, logits, target, **options)


@modern
def test_bce_with_logits_weighs_positives(how: dict[str, Any]) -> None:
    x, target = torch.randn(3, 4) * 3, torch.rand(3, 4)
    for pos_weight in (torch.rand(4) * 3, torch.tensor(2.5), torch.rand(3, 1)):
        options = {"pos_weight": pos_weight, **how}
        check(F.binary_cross_entropy_with_logits, x, target, **options)
        options["weight"] = torch.rand(4)
        check(F.binary_cross_entropy_with_logits, x, target, **options)


@pytest.mark.parametrize("how", [*REDUCTIONS, {"reduction": "batchmean"}])
@pytest.mark.parametrize("log_target", [False, True])
@shapes
def test_kl_div(shape: tuple[int, ...], log_target: bool, how: dict[str, Any]) -> None:
    x, target = torch.randn(shape), torch.rand(shape)
    target = target.log() if log_target else target
    check(F.kl_div, x, target, log_target=log_target, **how)


def test_kl_div_of_impossible_targets() -> None:
    check(F.kl_div, torch.randn(4), torch.tensor([0.0, 1.0, 0.0, 0.5]), reduction="sum")


@modern
def test_margin_ranking_and_cosine_embedding(how: dict[str, Any]) -> None:
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])
    x1, x2 = torch.randn(5, 3), torch.randn(5, 3)
    for margin in (0.0, 0.4):
        options = {"margin": margin, **how}
        check(F.margin_ranking_loss, x1[:, 0], x2[:, 0], sign, **options)
        check(F.cosine_embedding_loss, x1, x2, sign, **options)
        check(F.cosine_embedding_loss, x1[0], x2[0], torch.tensor(-1.0), **options)


SIZES = [(5, 4), (4,), (3, 4, 6), (2, 4, 3, 5)]


def classes_for(size: tuple[int, ...], *, ignored: int | None = None) -> torch.Tensor:
    shape = (size[0], *size[2:]) if len(size) > 1 else ()
    target = torch.randint(0, 4, shape)
    if ignored is not None and not shape:
        return torch.tensor(2)
    if ignored is not None:
        target.view(-1)[::3] = ignored
        target.view(-1)[1] = 2
    return target


@reductions
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [None, -100, 1])
def test_nll_and_cross_entropy(
    size: tuple[int, ...], weighted: bool, ignored: int | None, how: dict[str, Any]
) -> None:
    x, target = torch.randn(size) * 4, classes_for(size, ignored=ignored)
    options: dict[str, Any] = {"weight": torch.rand(4)} if weighted else {}
    if ignored is not None:
        options["ignore_index"] = ignored
    check(F.nll_loss, x, target, **options, **how)
    check(F.cross_entropy, x, target, **options, **how)
    check(F.cross_entropy, x, target, label_smoothing=0.2, **options, **how)


def test_minus_100_is_ignored_without_being_named() -> None:
    """Even at scores of -inf, which an ignored sample must not turn into NaN."""
    x = torch.randn(6, 4)
    x[::2, 0] = -float("inf")
    target = torch.tensor([-100, 1, -100, 2, -100, 3])
    check(F.cross_entropy, x, target)
    check(F.nll_loss, x, target, reduction="none")


@modern
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_of_probabilities(
    size: tuple[int, ...], smoothing: float, how: dict[str, Any]
) -> None:
    x = torch.randn(size)
    target = torch.randn(size).softmax(min(1, len(size) - 1))
    check(F.cross_entropy, x, target, label_smoothing=smoothing, **how)
    check(F.cross_entropy, x, target, torch.rand(4), label_smoothing=smoothing, **how)


def test_cross_entropy_of_large_logits() -> None:
    x = torch.tensor([[1e4, -1e4, 0.0], [-90.0, 90.0, 89.0]])
    check(F.cross_entropy, x, torch.tensor([1, 1]), reduction="none")


@modern
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_linear_cross_entropy(how: dict[str, Any], smoothing: float) -> None:
    x, weight, bias = torch.randn(5, 3), torch.randn(4, 3), torch.randn(4)
    target = torch.tensor([0, 3, 2, -100, 1])
    options: dict[str, Any] = {"label_smoothing": smoothing, **how}
    check(F.linear_cross_entropy, x, weight, target, **options)
    options |= {"linear_bias": bias, "weight": torch.rand(4)}
    check(F.linear_cross_entropy, x, weight, target, **options)
    check(F.linear_cross_entropy, x, weight, target.abs() % 4, ignore_index=2, **how)
    soft = torch.randn(5, 4).softmax(1)
    check(F.linear_cross_entropy, x, weight, soft, **options)
    check(F.linear_cross_entropy, x[0], weight, target[0], **options)
    deep, grid = torch.randn(4, 6, 3), torch.randint(0, 4, (5, 6))
    check(F.linear_cross_entropy, x, deep, grid, **how)


@reductions
@pytest.mark.parametrize("p", [1, 2])
def test_multi_margin(how: dict[str, Any], p: int) -> None:
    x, target = torch.randn(5, 4), torch.tensor([0, 3, 1, 1, 2])
    check(F.multi_margin_loss, x, target, p, **how)
    check(F.multi_margin_loss, x, target, p, 0.3, torch.rand(4), **how)
    check(F.multi_margin_loss, x[0], target[0], p, **how)
    check(F.multi_margin_loss, x[0], target[:1], p, **how)
    check(F.multi_margin_loss, torch.tensor(0.3), torch.tensor(0), p, **how)


@reductions
def test_multilabel_margins(how: dict[str, Any]) -> None:
    x = torch.randn(4, 5)
    listed = torch.tensor([
        [3, 0, -1, 1, 2], [-1, 1, 2, 3, 4], [4, 3, 2, 1, 0], [1, -1, -1, -1, -1]
    ])  # fmt: skip
    check(F.multilabel_margin_loss, x, listed, **how)
    check(F.multilabel_margin_loss, x[0], listed[0], **how)
    target = (torch.rand(4, 5) > 0.5).float()
    check(F.multilabel_soft_margin_loss, x, target, **how)
    check(F.multilabel_soft_margin_loss, x * 40, target, torch.rand(5), **how)
    check(F.multilabel_soft_margin_loss, x[0], target[0], **how)


@modern
@pytest.mark.parametrize("p", [2.0, 1.0, 3.0])
@pytest.mark.parametrize("swap", [False, True])
def test_triplet_margin(how: dict[str, Any], p: float, swap: bool) -> None:
    a, b, c = torch.randn(3, 6, 4).unbind()
    options: dict[str, Any] = {"swap": swap, "margin": 0.7, **how}
    check(F.triplet_margin_loss, a, b, c, p=p, **options)
    check(F.triplet_margin_loss, a[0], b[0], c[0], p=p, **options)
    check(F.triplet_margin_with_distance_loss, a, b, c, **options)
    options["distance_function"] = torch.nn.PairwiseDistance(p, eps=1e-3)
    check(F.triplet_margin_with_distance_loss, a, b, c, **options)


def test_triplet_margin_with_a_function_is_refused() -> None:
    a = torch.randn(3, 4)
    with pytest.raises(Refused, match="function of yours"):
        options = {"distance_function": torch.dist}
        lowered(F.triplet_margin_with_distance_loss, (a, a, a), options)


@modern
@pytest.mark.parametrize("blank", [0, 3])
@pytest.mark.parametrize("flat", [False, True])
def test_ctc(how: dict[str, Any], blank: int, flat: bool) -> None:
    """Repeated labels, empty targets, targets that fill their input."""
    log_probs = torch.randn(9, 5, 6).log_softmax(-1)
    labels = [[1, 1, 2], [4, 5, 4, 2], [], [2, 2], [5]]
    targets = torch.full((5, 4), blank)
    for row, given in zip(targets, labels, strict=True):
        row[: len(given)] = torch.tensor(given)
    lengths = torch.tensor([len(given) for given in labels])
    if flat:
        targets = torch.tensor(sum(labels, []))
    inputs = torch.tensor([9, 7, 5, 3, 1])
    options: dict[str, Any] = {"blank": blank, **how}
    check(F.ctc_loss, log_probs, targets, inputs, lengths, **options)
    options["zero_infinity"] = True
    given = (tuple(inputs.tolist()), tuple(lengths.tolist()))
    check(F.ctc_loss, log_probs, targets, *given, **options)


@modern
@pytest.mark.parametrize("zero_infinity", [False, True])
def test_ctc_of_impossible_targets(how: dict[str, Any], zero_infinity: bool) -> None:
    log_probs = torch.randn(4, 2, 5).log_softmax(-1)
    targets, inputs = torch.tensor([[1, 1, 2], [3, 4, 1]]), torch.tensor([3, 4])
    options: dict[str, Any] = {"zero_infinity": zero_infinity, **how}
    check(F.ctc_loss, log_probs, targets, inputs, torch.tensor([3, 3]), **options)


@modern
def test_ctc_without_a_batch(how: dict[str, Any]) -> None:
    log_probs = torch.randn(6, 5).log_softmax(-1)
    lengths = torch.tensor(6), torch.tensor(3)
    check(F.ctc_loss, log_probs, torch.tensor([1, 1, 2]), *lengths, **how)
