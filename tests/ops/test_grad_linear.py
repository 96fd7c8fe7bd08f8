"""Gradients of affine maps and table look-ups against torch.autograd."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.ops.gradcheck import check_vjp


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def leaf(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype, requires_grad=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64])
@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (2, 1, 3), (0,), (2, 0, 3)])
def test_linear(batch: tuple[int, ...], dtype: torch.dtype) -> None:
    x, weight, bias = leaf(*batch, 5, dtype=dtype), leaf(4, 5, dtype=dtype), leaf(4)
    check_vjp(F.linear, x, weight, bias.to(dtype).detach().requires_grad_())
    check_vjp(F.linear, x, weight)
    check_vjp(F.linear, x, leaf(5, dtype=dtype))


def test_linear_reads_as_a_person_writes_it() -> None:
    text = check_vjp(F.linear, leaf(3, 5), leaf(4, 5), leaf(4))
    assert "v0 @ v1" in text and ".sum(axis=0)" in text and ".T" in text
    text = check_vjp(F.linear, leaf(2, 3, 5), leaf(4, 5), leaf(4))
    assert "np.tensordot(v0, v1, axes=((0, 1), (0, 1)))" in text


@pytest.mark.parametrize("shape", [(), (7,), (3, 7), (2, 0)])
def test_embedding(shape: tuple[int, ...]) -> None:
    index, weight = torch.randint(0, 6, shape), leaf(6, 4)
    check_vjp(F.embedding, index, weight)
    check_vjp(F.embedding, index.int(), weight)
    for padding_idx in (2, -1):
        check_vjp(F.embedding, index, weight, padding_idx=padding_idx)
    check_vjp(F.embedding, index, weight, padding_idx=1, scale_grad_by_freq=True)
    check_vjp(torch.embedding, weight, index)
    check_vjp(torch.embedding, weight, index, -1, True)
    check_vjp(torch.embedding, weight, index, 3)


def test_embedding_of_a_transposed_table() -> None:
    table = torch.randn(4, 6).t().requires_grad_()
    check_vjp(F.embedding, torch.randint(0, 6, (9,)), table)
