"""Householder reflections: forward and VJP rows against torch."""

import pytest
import torch

from tests.ops.gradcheck import check_vjp
from tests.ops.opcheck import check

DTYPES = [torch.float32, torch.complex64]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def factors(
    *shape: int, count: int, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    x, tau = torch.geqrf(torch.randn(*shape, dtype=dtype))
    return x.requires_grad_(), tau[..., :count].clone().requires_grad_()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (2, 1, 5, 3)])
@pytest.mark.parametrize("count", [3, 2, 0])
def test_householder_product(
    shape: tuple[int, ...], count: int, dtype: torch.dtype
) -> None:
    x, tau = factors(*shape, count=count, dtype=dtype)
    check(torch.linalg.householder_product, x, tau)
    check_vjp(torch.linalg.householder_product, x, tau)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 3)])
def test_ormqr(
    shape: tuple[int, ...], left: bool, transpose: bool, dtype: torch.dtype
) -> None:
    x, tau = factors(*shape, count=3, dtype=dtype)
    size = (shape[-2], 2) if left else (2, shape[-2])
    other = torch.randn(*shape[:-2], *size, dtype=dtype, requires_grad=True)
    check(torch.ormqr, x, tau, other, left=left, transpose=transpose)
    check_vjp(torch.ormqr, x, tau, other, left=left, transpose=transpose)
