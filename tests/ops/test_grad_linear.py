"""Gradients of affine maps and table look-ups against torch.autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from luxgen.passes.vjp.row import NoGradient
from tests.ops.gradcheck import check_vjp, t


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64])
@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (2, 1, 3), (0,), (2, 0, 3)])
def test_linear(batch: tuple[int, ...], dtype: torch.dtype) -> None:
    x, weight, bias = t(*batch, 5, dtype=dtype), t(4, 5, dtype=dtype), t(4)
    check_vjp(F.linear, x, weight, bias.to(dtype).detach().requires_grad_())
    check_vjp(F.linear, x, weight)
    check_vjp(F.linear, x, t(5, dtype=dtype))


def test_linear_reads_as_a_person_writes_it() -> None:
    text = check_vjp(F.linear, t(3, 5), t(4, 5), t(4))
    assert "v0 @ v1" in text and ".sum(axis=0)" in text and ".T" in text
    text = check_vjp(F.linear, t(2, 3, 5), t(4, 5), t(4))
    assert "np.tensordot(v0, v1, axes=((0, 1), (0, 1)))" in text


@pytest.mark.parametrize("shape", [(), (7,), (3, 7), (2, 0)])
def test_embedding(shape: tuple[int, ...]) -> None:
    index, weight = torch.randint(0, 6, shape), t(6, 4)
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


MODES = ["sum", "mean", "max"]
OFFSETS = [[0, 2, 2, 5], [0, 0, 6], [0], [0, 7], [0, 3, 8, 8]]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [{}, {"padding_idx": 2}, {"padding_idx": -1}])
def test_embedding_bag_of_rows(mode: str, options: dict[str, Any]) -> None:
    weight = t(6, 4)
    bags = torch.tensor([[0, 2, 5], [2, 2, 2], [1, 5, 3]])
    check_vjp(F.embedding_bag, bags, weight, mode=mode, **options)
    check_vjp(F.embedding_bag, bags[:0], weight, mode=mode, **options)


def test_torchs_own_counts_of_bags_are_not_repeated() -> None:
    """Here row 5 occurs twice, and torch divides its gradient by row 2's count, 4."""
    weight, bags = t(6, 1), torch.tensor([[0, 2, 5], [2, 2, 2], [1, 5, 3]])
    options: dict[str, Any] = {"mode": "sum", "scale_grad_by_freq": True}
    F.embedding_bag(bags, weight, **options).sum().backward()
    assert weight.grad is not None and weight.grad[5] == 0.5
    with pytest.raises(NoGradient, match="counts of other rows"):
        check_vjp(F.embedding_bag, bags, weight, **options)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("offsets", OFFSETS)
@pytest.mark.parametrize("padding_idx", [None, 2])
def test_embedding_bag_from_offsets(
    mode: str, offsets: list[int], padding_idx: int | None
) -> None:
    weight, x = t(6, 4), torch.tensor([0, 2, 5, 2, 2, 1, 5, 3])
    options: dict[str, Any] = {"mode": mode, "padding_idx": padding_idx}
    starts = torch.tensor(offsets)
    check_vjp(F.embedding_bag, x, weight, starts, **options)
    ends = torch.tensor([*offsets, len(x)])
    check_vjp(F.embedding_bag, x, weight, ends, include_last_offset=True, **options)


def test_embedding_bag_gives_the_first_of_equals() -> None:
    weight = torch.randint(0, 2, (6, 4)).float().requires_grad_()
    bags = torch.tensor([[0, 2, 5], [2, 2, 2], [1, 5, 3]])
    check_vjp(F.embedding_bag, bags, weight, mode="max")


def test_embedding_bag_weighs_samples() -> None:
    weight, x = t(6, 4), torch.tensor([[0, 2, 5], [2, 1, 2]])
    share = t(2, 3)
    check_vjp(F.embedding_bag, x, weight, mode="sum", per_sample_weights=share)
    starts, share = torch.tensor([0, 4]), t(6)
    options: dict[str, Any] = {"mode": "sum", "per_sample_weights": share}
    check_vjp(F.embedding_bag, x.ravel(), weight, starts, **options)
    check_vjp(F.embedding_bag, x.ravel(), weight, starts, padding_idx=2, **options)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,), (2, 1, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_bilinear(batch: tuple[int, ...], bias: bool) -> None:
    a, b, weight = t(*batch, 4), t(*batch, 6), t(5, 4, 6)
    check_vjp(F.bilinear, a, b, weight, *([t(5)] if bias else []))
