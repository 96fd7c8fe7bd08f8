"""VJP rows of sorting against torch.autograd."""

import torch

from tests.ops.gradcheck import check_vjp, t


def test_sort() -> None:
    check_vjp(torch.sort, t(3, 5))
    check_vjp(torch.sort, t(3, 5), 0, True)
    check_vjp(torch.sort, t())


def test_ties_go_to_the_index_returned() -> None:
    x = torch.tensor([2.0, 1.0, 2.0, 1.0], requires_grad=True)
    check_vjp(torch.sort, x, stable=True)


def test_msort() -> None:
    check_vjp(torch.msort, t(5, 3))
    check_vjp(torch.msort, t())


def test_topk() -> None:
    check_vjp(torch.topk, t(3, 5), 2)
    check_vjp(torch.topk, t(5, 3), 2, 0, False)
    check_vjp(torch.topk, t(5), 5)
