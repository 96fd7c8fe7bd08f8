"""torch.linalg, its older forms, and torch.fft against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.ops.opcheck import check, evaluate, lowered

L = torch.linalg
INF = float("inf")


def square(*shape: int) -> torch.Tensor:
    """Well-conditioned, not symmetric."""
    return torch.randn(*shape, shape[-1]) + 3 * torch.eye(shape[-1])


def positive(*shape: int) -> torch.Tensor:
    a = torch.randn(*shape, shape[-1])
    return a @ a.mT + torch.eye(shape[-1])


# ---- norms


@pytest.mark.parametrize("p", [2, 1, 0, 3, 2.5, INF, -INF, -1])
@pytest.mark.parametrize("dim", [None, 1, -1, (0, 2), (-1,)])
@pytest.mark.parametrize("keepdim", [False, True])
def test_vector_norms(p: float, dim: Any, keepdim: bool) -> None:
    x = torch.randn(3, 4, 5)
    check(L.vector_norm, x, p, dim=dim, keepdim=keepdim)
    if dim is not None:
        check(torch.norm, x, p, dim, keepdim)


@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, INF, -INF])
@pytest.mark.parametrize("keepdim", [False, True])
def test_matrix_norms(ord: Any, keepdim: bool) -> None:
    check(L.matrix_norm, torch.randn(2, 4, 3), ord, keepdim=keepdim)
    check(L.matrix_norm, torch.randn(2, 4, 3), ord, (0, 2), keepdim=keepdim)
    check(L.norm, torch.randn(4, 3), ord)
    check(L.norm, torch.randn(4, 3, 2), ord, (2, 0))


def test_norm_forms() -> None:
    x = torch.randn(3, 4)
    assert check(torch.norm, x) == "np.linalg.norm(v0)"
    check(torch.norm, x, "fro")
    check(torch.norm, x, "nuc")
    check(torch.norm, x, "fro", dim=1)
    check(torch.norm, x, p=2, dim=(0, 1))  # a vector's norm, not the matrix's
    check(torch.norm, x, 1)
    check(torch.norm, x, dim=0, keepdim=True)
    check(torch.norm, torch.tensor(-2.0))
    check(torch.norm, x, 2, 1, dtype=torch.float64)
    check(torch.Tensor.norm, x, p=2, dim=-1, keepdim=True)
    check(L.norm, x)
    check(L.norm, x, 3, 1)
    check(L.norm, x[0], 1)
    check(L.norm, torch.randn(2, 3, 4))
    check(L.norm, torch.randn(2, 3, 4), dim=(1, 2))
    check(L.norm, torch.randn(2, 3, dtype=torch.complex64))
    check(torch.norm, torch.empty(0))
    check(torch.norm, torch.empty(0, 3), 2, 0)


@pytest.mark.parametrize("p", [2, 1, 0, 3.0, INF])
def test_dist(p: float) -> None:
    check(torch.dist, torch.randn(3, 4), torch.randn(4), p)


# ---- solving


def test_inverses_and_determinants() -> None:
    for a in (square(3), square(2, 4), torch.empty(0, 3, 3)):
        for f in (L.inv, torch.inverse, L.det, torch.det, L.slogdet, torch.slogdet):
            check(f, a)
    check(
        torch.logdet, torch.stack([positive(3), torch.diag(torch.tensor([1.0, -2, 3]))])
    )
    check(torch.logdet, positive(3))
    check(torch.logdet, torch.zeros(2, 2))
    check(L.pinv, torch.randn(2, 5, 3))
    check(L.pinv, torch.randn(5, 2) @ torch.randn(2, 4))  # rank deficient
    check(L.pinv, torch.diag(torch.tensor([1.0, 0.05])), rtol=0.1)
    check(L.pinv, positive(3), hermitian=True)
    check(torch.pinverse, torch.randn(3, 5))
    check(L.matrix_rank, torch.randn(2, 5, 2) @ torch.randn(2, 2, 4))
    check(L.matrix_rank, torch.diag(torch.tensor([1.0, 0.05])), 0.1)


def test_solve() -> None:
    a = square(2, 3)
    check(L.solve, square(3), torch.randn(3))
    check(L.solve, square(3), torch.randn(3, 2))
    check(L.solve, a, torch.randn(2, 3))  # a batch of vectors
    check(L.solve, a, torch.randn(2, 3, 4))
    check(L.solve, a, torch.randn(3, 4))  # one matrix for the batch
    check(L.solve, square(3), torch.randn(2, 3, 4))
    check(L.solve, a, torch.randn(2, 4, 3), left=False)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("unitriangular", [False, True])
def test_solve_triangular(upper: bool, left: bool, unitriangular: bool) -> None:
    options = {"upper": upper, "left": left, "unitriangular": unitriangular}
    check(L.solve_triangular, square(2, 3), torch.randn(2, 3, 3), **options)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_cholesky(upper: bool, dtype: torch.dtype) -> None:
    a = torch.randn(2, 3, 3, dtype=dtype)
    a = a @ a.mH + torch.eye(3)
    check(L.cholesky, a, upper=upper)
    check(torch.cholesky, a, upper)
    factor = L.cholesky(a, upper=upper)
    check(torch.cholesky_solve, torch.randn(2, 3, 4, dtype=dtype), factor, upper)
    check(torch.cholesky_inverse, factor, upper)


# ---- decompositions: unique up to the sign of a vector


def results(f: Any, *args: Any, **kwargs: Any) -> tuple[list[np.ndarray], Any]:
    """Our results and torch's, of equal dtypes and shapes."""
    text, scope = lowered(f, args, kwargs)
    ours = [np.asarray(y) for y in evaluate(text, scope)]
    theirs = f(*args, **kwargs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.resolve_conj().numpy().dtype
        assert a.shape == b.shape
    return ours, theirs


def near(a: Any, b: Any) -> None:
    b = b.resolve_conj().numpy() if isinstance(b, torch.Tensor) else b
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_svd(dtype: torch.dtype) -> None:
    a = torch.randn(2, 4, 3, dtype=dtype)
    for full in (False, True):
        (u, s, vh), theirs = results(L.svd, a, full_matrices=full)
        near(s, theirs[1])
        near(u[..., :3] * s[..., None, :] @ vh, a)
        (u, s, v), theirs = results(torch.svd, a, some=not full)
        near(u[..., :3] * s[..., None, :] @ v.swapaxes(-1, -2).conj(), a)
    check(L.svdvals, a)


@pytest.mark.parametrize("mode", ["reduced", "complete"])
def test_qr(mode: str) -> None:
    for shape in ((4, 3), (2, 3, 4)):
        a = torch.randn(*shape)
        for f, option in ((L.qr, mode), (torch.qr, mode == "reduced")):
            (q, r), theirs = results(f, a, option)
            near(q @ r, a)
            near(np.abs(r), theirs[1].abs())
    check(L.qr, torch.randn(4, 3), "r")


def test_eigen() -> None:
    a = positive(2, 3)
    for uplo in ("L", "U"):
        check(L.eigvalsh, a + torch.randn(3, 3).triu(1), uplo)
        (w, v), theirs = results(L.eigh, a, uplo)
        near(w, theirs[0])
        near(a.numpy() @ v, v * w[..., None, :])
    for b in (square(3), torch.tensor([[0.0, 1], [-1, 0]])):
        (w, v), _ = results(L.eig, b)
        near(b.numpy() @ v, v * w[None])
    check(L.eigvals, torch.diag(torch.tensor([3.0, 1, 2])))


# ---- products and powers


def test_products() -> None:
    a, b = torch.randn(4, 3), torch.randn(4, 3)
    assert check(L.cross, a, b) == "np.cross(v0, v1)"
    check(L.cross, torch.randn(3, 4), torch.randn(3, 1), dim=0)
    check(torch.cross, a, b)
    check(torch.cross, torch.randn(3, 5), torch.randn(3, 5))
    check(torch.cross, a, b, dim=1)
    check(L.vecdot, a, b)
    check(L.vecdot, a.to(torch.complex64) * 1j, b.to(torch.complex64), dim=0)
    check(torch.kron, torch.randn(2, 3), torch.randn(3, 2))
    check(torch.kron, torch.randn(2), torch.randn(2, 3, 2))
    check(L.multi_dot, [a, torch.randn(3, 5), torch.randn(5, 2)])
    check(L.multi_dot, [torch.randn(4), a, torch.randn(3)])


@pytest.mark.parametrize("n", [0, 1, 5, -2])
def test_matrix_power(n: int) -> None:
    check(L.matrix_power, square(2, 3), n)
    check(torch.matrix_power, square(3), n)


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 8.0])
def test_matrix_exp(scale: float) -> None:
    check(L.matrix_exp, scale * torch.randn(2, 4, 4))
    check(torch.matrix_exp, scale * torch.randn(3, 3, dtype=torch.complex64))
    check(torch.matrix_exp, torch.empty(0, 3, 3))


# ---- fft


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
@pytest.mark.parametrize("norm", [None, "ortho", "forward", "backward"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fft(name: str, norm: str | None, dtype: torch.dtype) -> None:
    f = getattr(torch.fft, name)
    x = torch.randn(3, 8, 5, dtype=dtype)
    if name in ("irfft", "hfft"):
        x = torch.fft.rfft(x, dim=1)
    check(f, x, norm=norm, dim=1)
    check(f, x, 6, 1)
    check(f, x, 12, 1, norm)


@pytest.mark.parametrize("norm", [None, "forward", "ortho"])
def test_hermitian_fft(norm: str | None) -> None:
    x, real = torch.randn(2, 4, 3, dtype=torch.complex64), torch.randn(2, 4, 3)
    for f, signal in ((torch.fft.hfft2, x), (torch.fft.ihfft2, real)):
        check(f, signal, norm=norm)
        check(f, signal, s=(3, 5), dim=(0, 2), norm=norm)
    check(torch.fft.hfftn, x, norm=norm)
    check(torch.fft.ihfftn, real, s=(3, 5), norm=norm)


def test_fft_of_complex_and_integers() -> None:
    x = torch.randn(3, 8, dtype=torch.complex64)
    check(torch.fft.fft, x)
    check(torch.fft.ifftn, x)
    check(torch.fft.fft, torch.arange(6))
    check(torch.fft.rfft, torch.arange(6, dtype=torch.int32))


@pytest.mark.parametrize("kind", ["", "i", "r", "ir"])
def test_fft_of_several_axes(kind: str) -> None:
    x = torch.randn(2, 6, 8)
    two, many = getattr(torch.fft, f"{kind}fft2"), getattr(torch.fft, f"{kind}fftn")
    if kind == "ir":
        x = torch.fft.rfftn(x, dim=(-2, -1))
    check(two, x)
    check(two, x, (4, 6), norm="ortho")
    check(two, x, dim=(0, 1))
    check(two, x, (-1, 6))
    check(many, x)
    check(many, x, (4, 10))
    check(many, x, dim=(1, 2), norm="forward")
    check(many, x, dim=1)


def test_fft_helpers() -> None:
    x = torch.randn(4, 5)
    for f in (torch.fft.fftshift, torch.fft.ifftshift):
        check(f, x)
        check(f, x, dim=1)
        check(f, x, dim=(0,))
    for f in (torch.fft.fftfreq, torch.fft.rfftfreq):
        for n in (1, 5, 8):
            check(f, n)
            check(f, n, 0.25)
        check(f, 6, dtype=torch.float64)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hop_length": 3, "win_length": 6},
        {"center": False},
        {"normalized": True, "pad_mode": "constant"},
        {"onesided": False},
    ],
)
def test_stft(options: dict[str, Any]) -> None:
    window = torch.hann_window(options.get("win_length", 8))
    for x in (torch.randn(2, 40), torch.randn(29)):
        check(torch.stft, x, 8, window=window, return_complex=True, **options)
        check(torch.stft, x, 8, return_complex=True, **options)
    z = torch.randn(2, 40, dtype=torch.complex64)
    if "onesided" not in options:
        check(torch.stft, z, 8, window=window, return_complex=True, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hop_length": 3, "win_length": 6},
        {"normalized": True},
        {"onesided": False},
        {"length": 37},
        {"length": 50},
    ],
)
def test_istft(options: dict[str, Any]) -> None:
    window = torch.hamming_window(options.get("win_length", 8))
    spectrum = dict(options)
    spectrum.pop("length", None)
    for x in (torch.randn(2, 40), torch.randn(40)):
        y = torch.stft(x, 8, window=window, return_complex=True, **spectrum)
        check(torch.istft, y, 8, window=window, **options)
        check(torch.istft, y, 8, **options)
