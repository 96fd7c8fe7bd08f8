"""VJP rows of distances and similarities against torch.autograd."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from luxgen.passes.vjp.row import NoGradient
from tests.ops.gradcheck import check_vjp, t

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
ORDERS = [2.0, 1.0, 0.0, 0.5, 1.5, 3.0, float("inf")]


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cosine_similarity(dim: int) -> None:
    check_vjp(F.cosine_similarity, t(3, 4), t(3, 4), dim)
    check_vjp(F.cosine_similarity, t(3, 4), t(4), dim)
    check_vjp(F.cosine_similarity, t(3, 1, 4), t(2, 4), dim, eps=3.0)
    x = torch.randn(3, 4)
    x[1] = 0
    check_vjp(F.cosine_similarity, x.requires_grad_(), t(3, 4), dim)


def test_cosine_similarity_of_vectors_and_numbers() -> None:
    check_vjp(F.cosine_similarity, t(4), t(4), dim=0)
    check_vjp(F.cosine_similarity, t(), t(), dim=0, eps=5.0)


@pytest.mark.parametrize("p", ORDERS)
def test_pairwise_distance(p: float) -> None:
    check_vjp(F.pairwise_distance, t(3, 4), t(3, 4), p)
    check_vjp(F.pairwise_distance, t(3, 4), t(1, 4), p, 1e-2, True)
    check_vjp(F.pairwise_distance, t(4), t(3, 4), p)


@pytest.mark.parametrize("p", [p for p in ORDERS if p])  # torch fails at p = 0
def test_dist(p: float) -> None:
    check_vjp(torch.dist, t(3, 4), t(3, 4), p)
    check_vjp(torch.dist, t(3, 4), t(4), p)
    check_vjp(torch.dist, t(), t(), p)


def test_complex() -> None:
    def z() -> torch.Tensor:
        return torch.randn(3, 4, dtype=torch.complex64, requires_grad=True)

    check_vjp(torch.dist, z(), z())
    check_vjp(F.pairwise_distance, z(), z())
    with pytest.raises(NoGradient, match="complex"):
        check_vjp(torch.dist, z(), z(), 1)


@pytest.mark.parametrize("p", ORDERS)
def test_cdist(p: float) -> None:
    check_vjp(torch.cdist, t(3, 4), t(5, 4), p)
    check_vjp(torch.cdist, t(2, 1, 3, 4), t(2, 5, 4), p)
    check_vjp(torch.cdist, t(0, 4), t(5, 4), p)
    x = t(4, 3)
    check_vjp(torch.cdist, x, x, p)
    whole = torch.randint(-2, 3, (4, 3)).float().requires_grad_()  # ties
    check_vjp(torch.cdist, whole, t(2, 3).round().detach().requires_grad_(), p)


def test_cdist_by_a_product() -> None:
    text = check_vjp(torch.cdist, t(30, 4), t(3, 4))
    assert "cdist_euclid_backward" in text
    check_vjp(torch.cdist, t(2, 3, 4), t(5, 4), 2.0, "use_mm_for_euclid_dist")
    text = check_vjp(
        torch.cdist, t(30, 4), t(3, 4), 2.0, "donot_use_mm_for_euclid_dist"
    )
    assert "cdist_backward" in text


@pytest.mark.parametrize("p", ORDERS)
def test_pdist(p: float) -> None:
    check_vjp(F.pdist, t(5, 3), p)
    check_vjp(F.pdist, torch.randint(-2, 3, (5, 2)).float().requires_grad_(), p)
    check_vjp(F.pdist, t(1, 3), p)
