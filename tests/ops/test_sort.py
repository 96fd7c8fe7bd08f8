"""Sorting and selection: values and indices against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import tensor

from tests.ops.opcheck import check, evaluate, lowered

torch.set_num_threads(1)
NAN, INF = float("nan"), float("inf")
X = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
INTS = torch.stack(
    [torch.randperm(9, generator=torch.Generator().manual_seed(k)) for k in range(4)]
)
TIES = tensor([[2.0, 1, 2, 3, 1, 1], [NAN, 0, INF, 0, NAN, -INF]])
S = tensor(1.5)


@pytest.mark.parametrize("descending", [False, True])
def test_sort(descending: bool) -> None:
    for x in (X, INTS, S, X[:0], INTS.byte()):
        check(torch.sort, x, descending=descending)
        check(torch.argsort, x, descending=descending)
    check(torch.sort, X, 0, descending)
    check(torch.argsort, X, 0, descending)
    check(torch.sort, TIES, dim=1, descending=descending, stable=True)
    check(torch.argsort, TIES, dim=0, descending=descending, stable=True)
    check(torch.sort, X > 0, dim=-1, descending=descending, stable=True)
    check(torch.sort, tensor([-(2**63), 2**63 - 1, 0]), descending=descending)


def test_text() -> None:
    assert check(torch.sort, X) == "sort(v0)"
    assert check(torch.topk, X, 3) == "topk(v0, 3)"
    assert check(torch.argsort, X, 0, True) == "argsort(v0, 0, descending=True)"
    assert check(torch.msort, X) == "np.sort(v0, axis=0)"


@pytest.mark.parametrize("largest", [False, True])
def test_topk(largest: bool) -> None:
    for k in (0, 1, 3, 9):
        check(torch.topk, X, k, largest=largest)
        check(torch.topk, INTS, k, largest=largest)
    check(torch.topk, X, 2, 0, largest)
    check(torch.topk, S, 1, largest=largest)
    check(torch.topk, X[:0], 2, largest=largest)
    check(torch.topk, tensor([1.0, NAN, INF, -INF]), 3, largest=largest)


@pytest.mark.parametrize("largest", [False, True])
def test_topk_takes_the_first_of_equal_values(largest: bool) -> None:
    x = torch.randint(0, 3, (50, 40), generator=torch.Generator().manual_seed(0)) / 2
    x[::3, ::7] = NAN
    for k in (1, 7, 39, 40):
        text, scope = lowered(torch.topk, (x, k), {"largest": largest})
        ours = evaluate(text, scope)
        expected = torch.sort(x, descending=largest, stable=True)
        for a, b in zip(ours, expected, strict=True):
            np.testing.assert_array_equal(a, b[:, :k].numpy())


def test_kthvalue() -> None:
    for k in (1, 4, 9):
        check(torch.kthvalue, X, k)
        check(torch.kthvalue, INTS, k, 1, keepdim=True)
    check(torch.kthvalue, X, 2, 0)
    check(torch.kthvalue, S, 1)
    check(torch.msort, S)
