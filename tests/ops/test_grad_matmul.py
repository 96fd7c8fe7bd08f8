"""Gradients of matrix products against torch.autograd."""

from __future__ import annotations

import pytest
import torch

from tests.ops.gradcheck import check_vjp


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def leaf(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, requires_grad=True)


RANKS = [
    ((4,), (4,)), ((4,), (4, 5)), ((3, 4), (4,)), ((3, 4), (4, 5)),
    ((2, 3, 4), (4,)), ((4,), (2, 4, 5)), ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)), ((1, 3, 4), (2, 4, 5)), ((2, 3, 4), (1, 4, 5)),
    ((6, 1, 3, 4), (2, 4, 5)), ((6, 2, 3, 4), (4,)), ((4,), (6, 2, 4, 5)),
    ((6, 2, 3, 4), (4, 5)), ((0, 3, 4), (4, 5)), ((2, 0, 4), (2, 4, 5)),
    ((3, 0), (0, 5)), ((1, 4), (4, 1)), ((1,), (1,)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
@pytest.mark.parametrize(("a", "b"), RANKS)
def test_matmul(a: tuple[int, ...], b: tuple[int, ...], dtype: torch.dtype) -> None:
    check_vjp(torch.matmul, leaf(*a, dtype=dtype), leaf(*b, dtype=dtype))


def test_matmul_of_itself() -> None:
    x = leaf(3, 3)
    check_vjp(torch.matmul, x, x)


def test_a_batch_times_a_matrix_is_one_product() -> None:
    text = check_vjp(torch.matmul, leaf(2, 3, 4), leaf(4, 5))
    assert "np.tensordot(v0, v1, axes=((0, 1), (0, 1)))" in text
    assert ".sum(" not in text


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_products_by_name(dtype: torch.dtype) -> None:
    a, b = leaf(3, 4, dtype=dtype), leaf(4, 5, dtype=dtype)
    check_vjp(torch.mm, a, b)
    check_vjp(torch.bmm, leaf(2, 3, 4, dtype=dtype), leaf(2, 4, 5, dtype=dtype))
    check_vjp(torch.mv, a, leaf(4, dtype=dtype))
    check_vjp(torch.dot, leaf(4, dtype=dtype), leaf(4, dtype=dtype))
