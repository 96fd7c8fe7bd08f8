"""Tensors as matrices, condition numbers: forward and VJP rows against torch."""

from typing import Any

import pytest
import torch

from tests.ops.gradcheck import check_layer, check_vjp
from tests.ops.opcheck import check

Tensor = torch.Tensor
DTYPES = [torch.float32, torch.complex64]


def well(size: int, *shape: int, dtype: torch.dtype) -> Tensor:
    """Square matrices of good condition, in another shape."""
    matrices = torch.randn(size, size, dtype=dtype) + 4 * torch.eye(size, dtype=dtype)
    return matrices.reshape(shape).requires_grad_()


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensorinv(dtype: torch.dtype) -> None:
    x = well(6, 2, 3, 6, dtype=dtype)
    check(torch.linalg.tensorinv, x)
    check_vjp(torch.linalg.tensorinv, x)
    x = well(6, 6, 3, 1, 2, dtype=dtype)
    check(torch.linalg.tensorinv, x, ind=1)
    check_vjp(torch.linalg.tensorinv, x, ind=1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensorsolve(dtype: torch.dtype) -> None:
    x = well(6, 2, 3, 6, dtype=dtype)
    b = torch.randn(2, 3, dtype=dtype, requires_grad=True)
    check(torch.linalg.tensorsolve, x, b)
    check_vjp(torch.linalg.tensorsolve, x, b)
    for dims in [(0,), (-3,)]:
        turned = well(6, 2, 3, 6, dtype=dtype).detach().movedim(-1, 0).requires_grad_()
        check(torch.linalg.tensorsolve, turned, b, dims=dims)
        check_vjp(torch.linalg.tensorsolve, turned, b, dims=dims)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [None, 2, -2, "fro", "nuc", 1, -1, float("inf")])
def test_cond(p: Any, dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 3, dtype=dtype, requires_grad=True)
    for matrices in (x, x[0].detach().requires_grad_()):
        check(torch.linalg.cond, matrices, p)
        check_layer("linalg_cond", {"input": matrices, "p": p}, written_out)


def written_out(input: Tensor, p: Any) -> Tensor:
    """torch's own has no gradient for most p: it writes into the inverse."""
    if p in (None, 2, -2):
        return torch.linalg.cond(input, p)
    norm = torch.linalg.matrix_norm
    return norm(input, p) * norm(torch.linalg.inv(input), p)


def test_cond_of_other_shapes() -> None:
    check_vjp(torch.linalg.cond, torch.randn(2, 4, 3, requires_grad=True))
    check_vjp(torch.linalg.cond, torch.randn(1, 1, requires_grad=True))
