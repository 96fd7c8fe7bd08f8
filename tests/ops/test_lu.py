"""LU factors, and solutions that come with an info, against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from luxgen.targets.numpy.rules import template
from luxgen.targets.numpy.rules.op import Op, Refused
from tests.ops.opcheck import check

L = torch.linalg
DTYPES = [torch.float32, torch.complex64]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
each_shape = pytest.mark.parametrize(
    "shape",
    [(5, 5), (3, 5), (5, 3), (2, 4, 4), (2, 3, 2, 4), (1, 1), (0, 3, 3), (0, 0), (0, 4),
     (2, 4, 0)],
)  # fmt: skip


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def random(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype)


def square(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Well-conditioned."""
    return random(*shape, dtype=dtype) + 3 * torch.eye(shape[-1])


def positive(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    x = random(*shape, dtype=dtype)
    return x @ x.mH + torch.eye(shape[-1])


@each_dtype
@each_shape
def test_factors(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = random(*shape, dtype=dtype)
    check(L.lu_factor, x)
    check(L.lu_factor_ex, x)
    check(L.lu, x)
    check(torch.lu_unpack, *L.lu_factor(x))
    check(torch.lu_unpack, *L.lu_factor(x), unpack_data=False)
    check(torch.lu_unpack, *L.lu_factor(x), unpack_pivots=False)


def test_older_factors() -> None:
    x = random(2, 4, 4)
    assert check(torch.lu, x) == "lu_factor(v0)"
    check(torch.lu, x, get_infos=True)
    check(torch.Tensor.lu, x)


def test_pivots_of_larger_matrices_are_lapacks() -> None:
    check(L.lu_factor, random(90, 90))


def test_singular_matrices_have_factors_and_an_info() -> None:
    x = torch.tensor(
        [[[1.0, 2, 3], [2, 4, 6], [1, 0, 1]], [[0, 0, 1], [0, 2, 1], [0, 3, 1]]]
    )
    check(L.lu_factor_ex, x)
    check(L.lu, x)
    check(torch.lu, x, get_infos=True)


@pytest.mark.parametrize(
    "name", ["lu", "linalg_lu", "linalg_lu_factor", "linalg_lu_factor_ex"]
)
def test_pivoting_cannot_be_left_out(name: str) -> None:
    """As torch on the CPU."""
    with pytest.raises(Refused, match="without pivoting"):
        template(Op(name, {"A": None, "pivot": False}))


@each_dtype
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("adjoint", [True, False])
def test_solutions(dtype: torch.dtype, left: bool, adjoint: bool) -> None:
    options = {"left": left, "adjoint": adjoint}
    for a, b in (
        [(4, 4), (4, 4)],
        [(2, 4, 4), (2, 4, 4)],
        [(2, 4, 4), (4, 4)],
        [(4, 4), (2, 4, 4)],
        [(0, 3, 3), (0, 3, 3)],
        [(0, 0), (0, 0)],
    ):
        factors = L.lu_factor(square(*a, dtype=dtype))
        check(L.lu_solve, *factors, random(*b, dtype=dtype), **options)
    b = random(2, 4, 3, dtype=dtype)
    factors = L.lu_factor(square(2, 4, 4, dtype=dtype))
    check(L.lu_solve, *factors, b if left else b.mT.contiguous(), **options)


@each_dtype
def test_older_solutions(dtype: torch.dtype) -> None:
    for a, b in ([(4, 4), (4, 3)], [(2, 4, 4), (2, 4, 1)], [(0, 3, 3), (0, 3, 2)]):
        factors = L.lu_factor(square(*a, dtype=dtype))
        check(torch.lu_solve, random(*b, dtype=dtype), *factors)


@each_dtype
@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("transpose", [True, False])
@pytest.mark.parametrize("unitriangular", [True, False])
def test_triangular_solve(
    dtype: torch.dtype, upper: bool, transpose: bool, unitriangular: bool
) -> None:
    options = {"upper": upper, "transpose": transpose, "unitriangular": unitriangular}
    for a, b in (
        [(3, 3), (3, 2)],
        [(2, 3, 3), (2, 3, 2)],
        [(3, 3), (2, 3, 1)],
        [(2, 3, 3), (3, 2)],
        [(2, 0, 0), (2, 0, 1)],
    ):
        x, y = square(*a, dtype=dtype), random(*b, dtype=dtype)
        check(torch.triangular_solve, y, x, **options)


@each_dtype
def test_results_with_info(dtype: torch.dtype) -> None:
    for shape in ((4, 4), (2, 3, 4, 4), (0, 3, 3), (0, 0)):
        check(L.inv_ex, square(*shape, dtype=dtype))
        check(L.cholesky_ex, positive(*shape, dtype=dtype))
        check(L.cholesky_ex, positive(*shape, dtype=dtype), upper=True)
    check(L.inv_ex, square(4, 4), check_errors=True)
    for a, b in (
        [(3, 3), (3,)],
        [(2, 3, 3), (2, 3)],
        [(2, 3, 3), (3, 4)],
        [(3, 3), (2, 3, 4)],
        [(2, 3, 3), (2, 3, 4)],
    ):
        check(L.solve_ex, square(*a, dtype=dtype), random(*b, dtype=dtype))
    x, y = square(2, 3, 3, dtype=dtype), random(2, 4, 3, dtype=dtype)
    check(L.solve_ex, x, y, left=False)


def test_matrices_without_an_inverse_raise() -> None:
    """torch's info would be positive."""
    with pytest.raises(np.linalg.LinAlgError):
        check(L.inv_ex, torch.zeros(2, 2))
    with pytest.raises(np.linalg.LinAlgError):
        check(L.cholesky_ex, -torch.eye(2))
