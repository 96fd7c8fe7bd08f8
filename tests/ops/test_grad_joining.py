"""VJP rows of joining and cutting against torch.autograd."""

import pytest
import torch

from tests.ops.gradcheck import check_vjp, t


def test_cat() -> None:
    text = check_vjp(torch.cat, (t(2, 3), t(2, 4)), 1)
    assert "np.split" in text or "np.array_split" in text
    check_vjp(torch.cat, (t(2, 3), t(1, 3), t(4, 3)))
    check_vjp(torch.cat, (t(2, 3),))
    check_vjp(torch.cat, (t(2, 3), t(0), t(2, 1)), -1)
    check_vjp(torch.cat, (t(2), t(0)))
    wide = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    check_vjp(torch.cat, (t(1, 3), wide))


def test_cat_of_one_tensor_twice() -> None:
    x = t(2, 3)
    check_vjp(torch.cat, (x, torch.zeros(2, 3), x), 1)


def test_stack() -> None:
    check_vjp(torch.stack, (t(2, 3), t(2, 3)))
    check_vjp(torch.stack, (t(2, 3), t(2, 3), t(2, 3)), -1)
    check_vjp(torch.stack, (t(), t()))


@pytest.mark.parametrize(
    "func", [torch.hstack, torch.vstack, torch.dstack, torch.column_stack]
)
def test_stacks(func: object) -> None:
    for shape in ((), (3,), (2, 3), (2, 3, 4)):
        if func is torch.column_stack and shape == (2, 3, 4):
            shape = (2, 1)
        check_vjp(func, (t(*shape), t(*shape), t(*shape)))  # type: ignore[arg-type]
    check_vjp(func, (t(2, 3), t(2, 3)))  # type: ignore[arg-type]
    check_vjp(func, [t(2, 3)])  # type: ignore[arg-type]


def test_stacks_of_several_ranks() -> None:
    check_vjp(torch.hstack, (t(), t(3)))
    check_vjp(torch.vstack, (t(3), t(2, 3)))
    check_vjp(torch.dstack, (t(2, 3), t(2, 3, 4)))
    check_vjp(torch.column_stack, (t(2), t(2, 3)))


def test_split() -> None:
    check_vjp(torch.split, t(6, 2), 2)
    check_vjp(torch.split, t(2, 7), 3, -1)
    check_vjp(torch.split, t(2, 7), [3, 0, 4], 1)
    check_vjp(torch.split_with_sizes, t(7), [3, 4])
    check_vjp(torch.unsafe_split, t(6, 2), 4)
    check_vjp(torch.unsafe_split_with_sizes, t(7), [3, 4])
    check_vjp(torch.split_copy, t(6, 2), 4)
    check_vjp(torch.split_with_sizes_copy, t(7), [3, 4])
    check_vjp(torch.split, t(2, 3), 3)


def test_chunk() -> None:
    check_vjp(torch.chunk, t(7, 2), 3)
    check_vjp(torch.chunk, t(2, 6), 3, 1)
    check_vjp(torch.unsafe_chunk, t(7, 2), 3)
    check_vjp(torch.tensor_split, t(7, 2), 3)
    check_vjp(torch.tensor_split, t(2, 7), (1, 4), 1)


def test_split_along() -> None:
    check_vjp(torch.hsplit, t(2, 6), 3)
    check_vjp(torch.hsplit, t(6), [2, 3])
    check_vjp(torch.vsplit, t(6, 2), 3)
    check_vjp(torch.dsplit, t(2, 2, 4), [1])


def test_unbind() -> None:
    check_vjp(torch.unbind, t(2, 3))
    check_vjp(torch.unbind, t(2, 3, 4), -1)
    check_vjp(torch.unbind_copy, t(2, 3), 1)


@pytest.mark.parametrize("indexing", ["ij", "xy"])
def test_meshgrid(indexing: str) -> None:
    check_vjp(torch.meshgrid, t(2), t(3), t(4), indexing=indexing)
    check_vjp(torch.meshgrid, t(2), indexing=indexing)
    check_vjp(torch.meshgrid, t(2), t(), torch.zeros(3), indexing=indexing)


def test_block_diag() -> None:
    check_vjp(torch.block_diag, t(2, 3), t(3), t(), t(1, 2))
    check_vjp(torch.block_diag, t(2, 3))


def test_cartesian_prod() -> None:
    check_vjp(torch.cartesian_prod, t(3))
    check_vjp(torch.cartesian_prod, t(2), t(3), t(4))


def test_broadcast_tensors() -> None:
    check_vjp(torch.broadcast_tensors, t(2, 1), t(3), torch.zeros(2, 3))


def test_at_least() -> None:
    check_vjp(torch.atleast_1d, t())
    check_vjp(torch.atleast_2d, t(), t(3), torch.zeros(2, 3))
    check_vjp(torch.atleast_3d, t(3), t(2, 3))
