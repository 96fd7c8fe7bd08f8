"""VJP rows of linear algebra against torch.autograd."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from luxgen.ops.linalg_backward import (
    det_backward,
    eig_backward,
    eigh_backward,
    svd_backward,
)
from luxgen.passes.vjp.row import NoGradient
from tests.ops.gradcheck import c, check_vjp, t
from tests.ops.gradcheck import check_layer as check_op
from tests.ops.opcheck import compare

Tensor = torch.Tensor


def good(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Well-conditioned square matrices."""
    x = torch.randn(shape, dtype=dtype) + 4 * torch.eye(shape[-1])
    return x.requires_grad_()


def positive(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Hermitian positive definite matrices."""
    x = torch.randn(shape, dtype=dtype)
    return (x @ x.mH + torch.eye(shape[-1])).requires_grad_()


DTYPES = [torch.float32, torch.complex64]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


@each_dtype
def test_inverse(dtype: torch.dtype) -> None:
    check_vjp(torch.inverse, good(3, 3, dtype=dtype))
    check_vjp(torch.linalg.inv, good(2, 3, 3, dtype=dtype))


@each_dtype
def test_solve(dtype: torch.dtype) -> None:
    a = good(2, 3, 3, dtype=dtype)

    def b(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=dtype, requires_grad=True)

    check_vjp(torch.linalg.solve, good(3, 3, dtype=dtype), b(3))
    check_vjp(torch.linalg.solve, a, b(2, 3))
    check_vjp(torch.linalg.solve, a, b(2, 3, 4))
    check_vjp(torch.linalg.solve, a, b(3, 4))
    check_vjp(torch.linalg.solve, good(3, 3, dtype=dtype), b(2, 3, 1))
    check_vjp(torch.linalg.solve, a, b(2, 4, 3), left=False)


@each_dtype
@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("unitriangular", [True, False])
def test_solve_triangular(dtype: torch.dtype, upper: bool, unitriangular: bool) -> None:
    options = {"upper": upper, "unitriangular": unitriangular}
    a = good(2, 3, 3, dtype=dtype)
    b = torch.randn(2, 3, 4, dtype=dtype, requires_grad=True)
    check_vjp(torch.linalg.solve_triangular, a, b, **options)
    b = torch.randn(1, 4, 3, dtype=dtype, requires_grad=True)
    check_vjp(torch.linalg.solve_triangular, a, b, left=False, **options)


@each_dtype
@pytest.mark.parametrize("upper", [True, False])
def test_cholesky(dtype: torch.dtype, upper: bool) -> None:
    check_vjp(torch.linalg.cholesky, positive(2, 3, 3, dtype=dtype), upper=upper)
    check_vjp(torch.cholesky, positive(3, 3, dtype=dtype), upper)
    factor = torch.linalg.cholesky(positive(3, 3, dtype=dtype), upper=upper)
    factor = factor.detach().requires_grad_()
    check_vjp(torch.cholesky_inverse, factor, upper)
    b = torch.randn(2, 3, 4, dtype=dtype, requires_grad=True)
    check_vjp(torch.cholesky_solve, b, factor, upper)


@each_dtype
def test_determinants(dtype: torch.dtype) -> None:
    x = good(2, 3, 3, dtype=dtype)
    check_vjp(torch.det, x)
    check_vjp(torch.linalg.det, good(1, 1, dtype=dtype))
    check_vjp(torch.slogdet, x)
    check_vjp(torch.linalg.slogdet, good(3, 3, dtype=dtype))


def test_logdet() -> None:
    check_vjp(torch.logdet, positive(2, 3, 3))


def test_det_of_a_singular_matrix() -> None:
    """The gradient is the matrix of cofactors, where torch gives 0 for a zero pivot."""
    x = np.array([[1, 2, 0], [2, 4, 0], [0, 0, 3]], np.float32)
    cofactors = [[12, -6, 0], [-6, 3, 0], [0, 0, 0]]
    found = det_backward(np.float32(1), x)
    np.testing.assert_allclose(found, cofactors, atol=1e-5)


@each_dtype
def test_pinv(dtype: torch.dtype) -> None:
    for shape in ((3, 3), (5, 2), (2, 4, 6)):
        x = torch.randn(shape, dtype=dtype, requires_grad=True)
        check_vjp(torch.linalg.pinv, x)
        check_vjp(torch.pinverse, x)


@each_dtype
@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 5])
def test_matrix_power(dtype: torch.dtype, n: int) -> None:
    x = (good(2, 3, 3, dtype=dtype) / 4).detach().requires_grad_()
    check_vjp(torch.matrix_power, x, n)
    check_vjp(torch.linalg.matrix_power, x, n)


@each_dtype
def test_matrix_exp(dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 3, dtype=dtype, requires_grad=True)
    check_vjp(torch.matrix_exp, x)
    check_vjp(torch.linalg.matrix_exp, x)


def test_cross() -> None:
    check_vjp(torch.cross, t(3, 2), t(3, 2))
    check_vjp(torch.cross, t(2, 3), t(2, 3), 1)
    check_vjp(torch.linalg.cross, c(2, 3), c(2, 3))
    check_vjp(torch.linalg.cross, t(4, 3, 2), t(1, 3, 2), dim=1)


def test_vecdot() -> None:
    check_vjp(torch.linalg.vecdot, t(2, 3), t(2, 3))
    check_vjp(torch.linalg.vecdot, c(2, 3, 4), c(3, 1), dim=1)


@each_dtype
@pytest.mark.parametrize("ord", ["fro", "nuc", 2, -2, 1, -1, math.inf, -math.inf])
def test_matrix_norm(dtype: torch.dtype, ord: float | str) -> None:
    x = torch.randn(2, 3, 4, dtype=dtype, requires_grad=True)
    check_vjp(torch.linalg.matrix_norm, x, ord)
    check_vjp(torch.linalg.matrix_norm, x, ord, (0, 2), True)
    check_vjp(torch.linalg.norm, x, ord, (1, 2))


def test_norm() -> None:
    check_vjp(torch.linalg.norm, t(2, 3))
    check_vjp(torch.linalg.norm, c(2, 3), 2)
    check_vjp(torch.linalg.norm, t(2, 3), 3, 1)
    check_vjp(torch.linalg.norm, t(6), math.inf)
    check_vjp(torch.linalg.norm, torch.zeros(3, requires_grad=True))


@each_dtype
def test_qr(dtype: torch.dtype) -> None:
    for shape in ((3, 3), (5, 3), (2, 3, 5)):
        x = torch.randn(shape, dtype=dtype, requires_grad=True)
        check_vjp(torch.linalg.qr, x)
        check_vjp(torch.qr, x)
    check_vjp(torch.linalg.qr, x, "complete")


def test_qr_without_gradient() -> None:
    for mode in ("r", "complete"):
        with pytest.raises(NoGradient, match='use mode "reduced"|qr'):
            args = {"A": t(5, 3), "mode": mode}
            check_op("linalg_qr", args, lambda A, mode: tuple(torch.linalg.qr(A)))


@each_dtype
def test_singular_values(dtype: torch.dtype) -> None:
    for shape in ((3, 3), (5, 3), (2, 3, 5)):
        x = torch.randn(shape, dtype=dtype, requires_grad=True)
        check_vjp(torch.linalg.svdvals, x)


@each_dtype
def test_eigenvalues(dtype: torch.dtype) -> None:
    check_vjp(torch.linalg.eigvalsh, positive(2, 4, 4, dtype=dtype))
    check_vjp(torch.linalg.eigvalsh, positive(3, 3, dtype=dtype), "U")
    x = torch.diag(torch.tensor([1.0, 5, 9])).to(dtype)  # in the order of both LAPACKs
    x = x + 0.1 * torch.randn(3, 3, dtype=dtype)
    check_vjp(torch.linalg.eigvals, x.requires_grad_())


def turned(ours: np.ndarray[Any, Any], theirs: Tensor, dim: int) -> Tensor:
    """torch's vectors' signs, such that they are ours: LAPACK may choose either."""
    overlap = torch.from_numpy(ours) * theirs.detach()
    return overlap.sum(dim, keepdim=True).sign().to(theirs.dtype)


@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (2, 3, 5)])
def test_svd(shape: tuple[int, ...]) -> None:
    x = t(*shape)
    left = np.linalg.svd(x.detach().numpy(), full_matrices=False)[0]

    def reference(A: Tensor, full_matrices: bool = False) -> tuple[Tensor, ...]:
        u, s, vh = torch.linalg.svd(A, full_matrices=full_matrices)
        signs = turned(left, u, -2)
        return u * signs, s, vh * signs.mT

    def old(input: Tensor) -> tuple[Tensor, ...]:
        u, s, vh = reference(input)
        return u, s, vh.mT

    check_op("linalg_svd", {"A": x, "full_matrices": False}, reference)
    check_op("svd", {"input": x}, old)


def test_singular_values_of_full_matrices() -> None:
    def reference(A: Tensor) -> tuple[Tensor, ...]:
        u, s, vh = torch.linalg.svd(A)
        return u.detach(), s, vh.detach()

    check_op("linalg_svd", {"A": t(3, 5)}, reference)


@pytest.mark.parametrize("triangle", ["L", "U"])
def test_eigh(triangle: str) -> None:
    x = positive(2, 4, 4)
    ours = np.linalg.eigh(x.detach().numpy(), triangle)[1]

    def reference(input: Tensor, UPLO: str) -> tuple[Tensor, ...]:
        values, vectors = torch.linalg.eigh(input, UPLO)
        return values, vectors * turned(ours, vectors, -2)

    check_op("linalg_eigh", {"input": x, "UPLO": triangle}, reference)


def gradients(
    loss: Any, decompose: Any, x: Tensor
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], Tensor]:
    """A decomposition of x, the loss's gradients with respect to it, and to x."""
    outs = tuple(decompose(x))
    d_x = torch.autograd.grad(loss(*outs), x, retain_graph=True)[0]
    parts = tuple(p.detach().requires_grad_() for p in outs)
    return parts, torch.autograd.grad(loss(*parts), parts), d_x


def check_helper(helper: Any, loss: Any, decompose: Any, x: Tensor) -> None:
    """Complex vectors have a phase each: a loss that doesn't depend on them."""
    found = []
    for dtype in (torch.complex64, torch.complex128):
        parts, d_parts, d_x = gradients(
            loss, decompose, x.to(dtype).detach().requires_grad_()
        )
        arrays = [a.detach().numpy() for a in (*d_parts, *parts)]
        found.append((helper(*arrays), d_x))
    (ours, low), (_, high) = found
    compare(ours, low, high)


WEIGHTS = torch.linspace(0.5, 2, 20)


def weighted(*parts: Tensor) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for part in parts:
        size = part.abs().reshape(-1) ** 2
        total = total + (size * WEIGHTS[: len(size)]).sum()
    return total


@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 4)])
def test_svd_of_complex_matrices(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.complex64)
    check_helper(
        svd_backward, weighted, lambda a: torch.linalg.svd(a, full_matrices=False), x
    )


def test_eigh_of_complex_matrices() -> None:
    x = positive(3, 3, dtype=torch.complex64).detach()
    check_helper(eigh_backward, weighted, torch.linalg.eigh, x)


def test_eig() -> None:
    def backward(d_values: Any, d_vectors: Any, values: Any, vectors: Any) -> Any:
        return eig_backward(d_values, values, vectors, d_vectors=d_vectors)

    x = torch.randn(3, 3, dtype=torch.complex64)
    check_helper(backward, weighted, torch.linalg.eig, x)
