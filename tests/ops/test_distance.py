"""Distances and similarities against torch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.ops.opcheck import check

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
NORMS = [2.0, 1.0, 3.0, 0.0, 0.5, float("inf")]
norms = pytest.mark.parametrize("p", NORMS)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cosine_similarity(dim: int) -> None:
    x1, x2 = torch.randn(4, 5, 6), torch.randn(4, 5, 6)
    check(F.cosine_similarity, x1, x2, dim)
    check(F.cosine_similarity, x1.double(), x2.double(), dim)
    check(F.cosine_similarity, x1 * 1e-3, x2, dim, eps=0.1)
    check(F.cosine_similarity, torch.zeros(4, 5), torch.zeros(4, 5), dim)
    check(F.cosine_similarity, x1, x2[:1], dim)


def test_cosine_similarity_of_vectors() -> None:
    check(F.cosine_similarity, torch.randn(7), torch.randn(7), dim=0)
    check(F.cosine_similarity, torch.tensor(-2.0), torch.tensor(3.0), dim=0)
    check(F.cosine_similarity, torch.randn(3, 1, 7), torch.randn(1, 4, 7), dim=-1)


@norms
@pytest.mark.parametrize("keepdim", [False, True])
def test_pairwise_distance(p: float, keepdim: bool) -> None:
    x1, x2 = torch.randn(4, 5), torch.randn(4, 5)
    check(F.pairwise_distance, x1, x2, p, keepdim=keepdim)
    check(F.pairwise_distance, x1, x1, p, 0.5, keepdim)
    check(F.pairwise_distance, x1[0], x2, p, keepdim=keepdim)
    check(F.pairwise_distance, x1[0], x2[0], p, keepdim=keepdim)


@norms
def test_cdist(p: float) -> None:
    check(torch.cdist, torch.randn(4, 5), torch.randn(3, 5), p)
    check(torch.cdist, torch.randn(2, 1, 4, 5), torch.randn(6, 3, 5), p)
    check(torch.cdist, torch.randn(40, 5), torch.randn(30, 5), p)
    check(torch.cdist, torch.randn(0, 5), torch.randn(3, 5), p)
    check(torch.cdist, torch.randn(4, 5).double(), torch.randn(0, 5).double(), p)


MODES = ["use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist"]


@pytest.mark.parametrize("mode", [*MODES, "donot_use_mm_for_euclid_dist"])
def test_cdist_modes(mode: str) -> None:
    x = torch.randn(30, 5)
    text = check(torch.cdist, x, torch.randn(3, 5), compute_mode=mode)
    assert ("euclid" in text) == (not mode.startswith("donot"))


@norms
def test_pdist(p: float) -> None:
    check(F.pdist, torch.randn(6, 4), p)
    check(F.pdist, torch.randn(1, 4), p)
    check(torch.pdist, torch.randn(5, 4).double(), p)
