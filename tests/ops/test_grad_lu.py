"""VJP rows of LU factors, and of solutions that come with an info."""

import pytest
import torch

from tests.ops.gradcheck import check_vjp

L = torch.linalg
Tensor = torch.Tensor
DTYPES = [torch.float32, torch.complex64]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def good(*shape: int, dtype: torch.dtype) -> Tensor:
    """Well-conditioned, as far as it is square."""
    x = torch.randn(shape, dtype=dtype)
    return (x + 3 * torch.eye(*shape[-2:])).requires_grad_()


def t(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, dtype=dtype, requires_grad=True)


def factors(*shape: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    packed, pivots = L.lu_factor(good(*shape, dtype=dtype).detach())
    return packed.requires_grad_(), pivots


@each_dtype
@pytest.mark.parametrize(
    "shape",
    [(4, 4), (3, 5), (5, 3), (2, 4, 4), (2, 3, 2, 4), (2, 4, 2), (0, 3, 3), (0, 0)],
)
def test_factors(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    check_vjp(L.lu, good(*shape, dtype=dtype))
    check_vjp(L.lu_factor, good(*shape, dtype=dtype))
    check_vjp(L.lu_factor_ex, good(*shape, dtype=dtype))
    check_vjp(torch.lu, good(*shape, dtype=dtype))
    check_vjp(torch.lu, good(*shape, dtype=dtype), get_infos=True)
    check_vjp(torch.lu_unpack, *factors(*shape, dtype=dtype))
    check_vjp(torch.lu_unpack, *factors(*shape, dtype=dtype), unpack_pivots=False)


@each_dtype
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("adjoint", [True, False])
def test_solutions(dtype: torch.dtype, left: bool, adjoint: bool) -> None:
    options = {"left": left, "adjoint": adjoint}
    shape = (4, 2) if left else (2, 4)
    for a, b in [((4, 4), shape), ((2, 4, 4), (2, *shape)), ((0, 4, 4), (0, *shape))]:
        packed = factors(*a, dtype=dtype)
        check_vjp(L.lu_solve, *packed, t(*b, dtype=dtype), **options)
    check_vjp(
        L.lu_solve, *factors(4, 4, dtype=dtype), t(3, *shape, dtype=dtype), **options
    )


@each_dtype
def test_older_solutions(dtype: torch.dtype) -> None:
    for a, b in [((4, 4), (4, 2)), ((2, 4, 4), (2, 4, 1))]:
        check_vjp(torch.lu_solve, t(*b, dtype=dtype), *factors(*a, dtype=dtype))


@each_dtype
@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("transpose", [True, False])
@pytest.mark.parametrize("unitriangular", [True, False])
def test_triangular_solve(
    dtype: torch.dtype, upper: bool, transpose: bool, unitriangular: bool
) -> None:
    options = {"upper": upper, "transpose": transpose, "unitriangular": unitriangular}
    for a, b in [((3, 3), (3, 2)), ((2, 3, 3), (2, 3, 2)), ((3, 3), (2, 3, 1))]:
        x, y = good(*a, dtype=dtype), t(*b, dtype=dtype)
        check_vjp(torch.triangular_solve, y, x, **options)


@each_dtype
def test_results_with_info(dtype: torch.dtype) -> None:
    check_vjp(L.inv_ex, good(2, 3, 3, dtype=dtype))
    x = good(2, 3, 3, dtype=dtype).detach()
    a = (x @ x.mH + torch.eye(3)).requires_grad_()
    check_vjp(L.cholesky_ex, a)
    check_vjp(L.cholesky_ex, a, upper=True)
    check_vjp(L.solve_ex, good(3, 3, dtype=dtype), t(3, dtype=dtype))
    check_vjp(L.solve_ex, good(2, 3, 3, dtype=dtype), t(2, 3, 4, dtype=dtype))
    check_vjp(L.solve_ex, good(3, 3, dtype=dtype), t(4, 3, dtype=dtype), left=False)
