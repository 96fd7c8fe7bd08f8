"""Gradients of matrix products against torch.autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.ops.gradcheck import check_vjp, t

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
    check_vjp(torch.matmul, t(*a, dtype=dtype), t(*b, dtype=dtype))


def test_matmul_of_itself() -> None:
    x = t(3, 3)
    check_vjp(torch.matmul, x, x)


def test_a_batch_times_a_matrix_is_one_product() -> None:
    text = check_vjp(torch.matmul, t(2, 3, 4), t(4, 5))
    assert "np.tensordot(v0, v1, axes=((0, 1), (0, 1)))" in text
    assert ".sum(" not in text


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_products_by_name(dtype: torch.dtype) -> None:
    a, b = t(3, 4, dtype=dtype), t(4, 5, dtype=dtype)
    check_vjp(torch.mm, a, b)
    check_vjp(torch.bmm, t(2, 3, 4, dtype=dtype), t(2, 4, 5, dtype=dtype))
    check_vjp(torch.mv, a, t(4, dtype=dtype))
    check_vjp(torch.dot, t(4, dtype=dtype), t(4, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_sums_of_products(dtype: torch.dtype) -> None:
    def new(*shape: int) -> torch.Tensor:
        return t(*shape, dtype=dtype)

    calls = [
        (torch.addmm, (3, 5), new(3, 4), new(4, 5)),
        (torch.addmm, (5,), new(3, 4), new(4, 5)),
        (torch.addmv, (3,), new(3, 4), new(4)),
        (torch.addr, (3, 5), new(3), new(5)),
        (torch.addbmm, (3, 5), new(2, 3, 4), new(2, 4, 5)),
        (torch.baddbmm, (2, 3, 5), new(2, 3, 4), new(2, 4, 5)),
        (torch.baddbmm, (1, 5), new(2, 3, 4), new(2, 4, 5)),
    ]
    for function, shape, a, b in calls:
        check_vjp(function, new(*shape), a, b)
        check_vjp(function, new(*shape), a, b, alpha=0.5, beta=-2)
        check_vjp(function, new(*shape), a, b, beta=0)
    if dtype.is_complex:
        check_vjp(torch.addmm, new(3, 5), *calls[0][2:], alpha=2j, beta=1 - 1j)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_products_of_vectors(dtype: torch.dtype) -> None:
    a, b = t(4, dtype=dtype), t(4, dtype=dtype)
    check_vjp(torch.vdot, a, b)
    check_vjp(torch.outer, a, t(3, dtype=dtype))
    check_vjp(torch.ger, a, t(3, dtype=dtype))
    shapes = [((4,), (4,)), ((3, 4), (4,)), ((4,), (2, 3, 4)), ((2, 3, 4), (5, 4)),
              ((), (3, 4)), ((3,), ())]  # fmt: skip
    for one, two in shapes:
        check_vjp(torch.inner, t(*one, dtype=dtype), t(*two, dtype=dtype))


@pytest.mark.parametrize(
    ("a", "b", "dims"),
    [
        ((3, 4, 5), (4, 5, 6), 2),
        ((3, 4), (4, 5), 1),
        ((3,), (4, 5), 0),
        ((3, 4), (3, 4), 2),
        ((3, 4, 5), (5, 2, 3), ([0, 2], [2, 0])),
        ((3, 4, 5), (5, 2, 3), ([2, 0], [0, 2])),
        ((3, 4, 5), (4,), ([-2], [0])),
        ((1, 4, 5), (3, 2, 1), ([0, 2], [0, 2])),
        ((1, 1), (3, 4), ([0, 1], [1, 0])),
    ],
)
def test_tensordot(a: tuple[int, ...], b: tuple[int, ...], dims: Any) -> None:
    for dtype in (torch.float32, torch.complex64):
        check_vjp(torch.tensordot, t(*a, dtype=dtype), t(*b, dtype=dtype), dims)


EQUATIONS = [
    ("ij,jk->ik", (3, 4), (4, 5)),
    ("ij,kj", (3, 4), (5, 4)),
    ("bhld,bhsd->bhls", (2, 3, 5, 4), (2, 3, 6, 4)),
    ("bij,bjk->bki", (2, 3, 4), (2, 4, 5)),
    ("...ij,...jk->...ik", (2, 6, 3, 4), (2, 6, 4, 5)),
    ("...ij,jk", (2, 3, 4), (4, 5)),
    ("i,j->ij", (3,), (4,)),
    ("i,i,i->", (3,), (3,), (3,)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
    ("ij->ji", (3, 4)),
    ("ij->i", (3, 4)),
    ("ij->", (3, 4)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij->", (3, 3, 4)),
    ("iii->i", (3, 3, 3)),
    ("iij,jk->ik", (3, 3, 4), (4, 5)),
    ("ij,k->ik", (3, 4), (5,)),
    ("bn,anm,bm->ba", (2, 3), (5, 3, 4), (2, 4)),
]


@pytest.mark.parametrize("case", EQUATIONS, ids=lambda c: c[0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_einsum(case: Any, dtype: torch.dtype) -> None:
    equation, *shapes = case
    operands = [t(*shape, dtype=dtype) for shape in shapes]
    check_vjp(torch.einsum, equation, *operands)
    check_vjp(torch.einsum, equation, operands)


def test_einsum_reads_as_a_product() -> None:
    text = check_vjp(torch.einsum, "bld,de->ble", t(2, 3, 4), t(4, 5))
    assert "v0 @ v1.T" in text and "np.tensordot(v0, v1, axes=" in text


def test_einsum_of_one_tensor_twice() -> None:
    x = t(3, 3)
    check_vjp(torch.einsum, "ij,jk->ik", x, x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_chains(dtype: torch.dtype) -> None:
    shapes = [(3, 4), (4, 2), (2, 6), (6, 5)]
    for count in (2, 3, 4):
        factors = [t(*shape, dtype=dtype) for shape in shapes[:count]]
        check_vjp(torch.chain_matmul, *factors)
        check_vjp(torch.linalg.multi_dot, factors)
    check_vjp(torch.chain_matmul, t(3, 4, dtype=dtype))
    vectors = [t(*s, dtype=dtype) for s in ((4,), (4, 2), (2, 6), (6,))]
    check_vjp(torch.linalg.multi_dot, vectors)
    check_vjp(torch.linalg.multi_dot, vectors[1:])


@pytest.mark.parametrize(
    ("a", "b"), [((2, 3), (4, 5)), ((3,), (4, 5)), ((2, 3, 1), (4,)), ((), (3,))]
)
def test_kron(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    for dtype in (torch.float32, torch.complex64):
        check_vjp(torch.kron, t(*a, dtype=dtype), t(*b, dtype=dtype))
