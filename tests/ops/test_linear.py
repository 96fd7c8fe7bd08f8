"""Linear maps, embeddings and one-hot vectors against torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from luxgen.targets.numpy.rules.op import Refused
from tests.ops.opcheck import check, lowered

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5), (2, 1, 4, 5), (0, 5)])
@pytest.mark.parametrize("bias", [False, True])
def test_linear(shape: tuple[int, ...], bias: bool) -> None:
    x, weight = torch.randn(shape), torch.randn(7, 5)
    given = (torch.randn(7),) if bias else ()
    check(F.linear, x, weight, *given)
    check(F.linear, x.double(), weight.double(), *(b.double() for b in given))


def test_linear_edges() -> None:
    check(F.linear, torch.randn(2, 3, 5), torch.randn(5))
    check(F.linear, torch.randn(5), torch.randn(5))
    check(F.linear, torch.randn(3, 0), torch.randn(4, 0), torch.randn(4))
    check(F.linear, torch.randn(5, 2, 3).permute(1, 2, 0), torch.randn(5, 7).T)
    check(F.linear, torch.arange(6).reshape(2, 3), torch.arange(12).reshape(4, 3))
    z, w = torch.randn(2, 5, dtype=torch.cfloat), torch.randn(3, 5, dtype=torch.cfloat)
    check(F.linear, z, w)


@pytest.mark.parametrize("lead", [(), (4,), (2, 4), (0,)])
def test_bilinear(lead: tuple[int, ...]) -> None:
    x1, x2, weight = torch.randn(*lead, 3), torch.randn(*lead, 5), torch.randn(6, 3, 5)
    check(F.bilinear, x1, x2, weight)
    check(F.bilinear, x1, x2, weight, torch.randn(6))


def test_embedding() -> None:
    index, weight = torch.tensor([[0, 2], [3, 3]]), torch.randn(4, 6)
    check(F.embedding, index, weight)
    check(F.embedding, index.int(), weight)
    check(F.embedding, index[0, 0], weight)
    check(F.embedding, index[:0], weight)
    check(F.embedding, index, weight, padding_idx=3)
    check(F.embedding, index, weight, -1, scale_grad_by_freq=True, sparse=True)
    check(torch.embedding, weight, index, 3)


def test_max_norm_is_refused() -> None:
    index, weight = torch.tensor([[0, 2]]), torch.randn(4, 6)
    for function in (F.embedding, F.embedding_bag):
        with pytest.raises(Refused, match="max_norm"):
            lowered(function, (index, weight), {"max_norm": 1.0})


MODES = ["sum", "mean", "max"]
OFFSETS = [[0, 2, 2, 5], [0, 0, 6], [0], [0, 7], [0, 3, 8, 8]]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [{}, {"padding_idx": 2}, {"padding_idx": -1}])
def test_embedding_bag_of_rows(mode: str, options: dict[str, Any]) -> None:
    weight = torch.randn(6, 4)
    bags = torch.tensor([[0, 2, 5], [2, 2, 2], [1, 5, 3]])
    check(F.embedding_bag, bags, weight, mode=mode, **options)
    check(F.embedding_bag, bags[:0], weight, mode=mode, **options)
    check(F.embedding_bag, bags, weight.double(), mode=mode, **options)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("offsets", OFFSETS)
@pytest.mark.parametrize("padding_idx", [None, 2])
def test_embedding_bag_from_offsets(
    mode: str, offsets: list[int], padding_idx: int | None
) -> None:
    weight, x = torch.randn(6, 4) - 2, torch.tensor([0, 2, 5, 2, 2, 1, 5, 3])
    options: dict[str, Any] = {"mode": mode, "padding_idx": padding_idx}
    starts = torch.tensor(offsets)
    check(F.embedding_bag, x, weight, starts, **options)
    ends = torch.tensor([*offsets, len(x)])
    check(F.embedding_bag, x, weight, ends, include_last_offset=True, **options)


def test_embedding_bag_weighs_samples() -> None:
    weight, x = torch.randn(6, 4), torch.tensor([[0, 2, 5], [2, 1, 2]])
    share = torch.randn(2, 3)
    check(F.embedding_bag, x, weight, mode="sum", per_sample_weights=share)
    starts = torch.tensor([0, 4])
    options = {"mode": "sum", "per_sample_weights": share.ravel()}
    check(F.embedding_bag, x.ravel(), weight, starts, **options)
    check(F.embedding_bag, x.ravel(), weight, starts, padding_idx=2, **options)


def test_one_hot() -> None:
    check(F.one_hot, torch.tensor([[0, 2], [1, 3]]))
    check(F.one_hot, torch.tensor([[0, 2], [1, 3]]), 6)
    check(F.one_hot, torch.tensor(2), num_classes=3)
    check(F.one_hot, torch.zeros(0, dtype=torch.int64), 3)
