"""VJP rows of Fourier transforms against torch.autograd."""

from typing import Any

import pytest
import torch

from tests.ops.gradcheck import c, check_vjp, t

Tensor = torch.Tensor
NORMS = [None, "backward", "forward", "ortho"]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("func", [torch.fft.fft, torch.fft.ifft])
def test_complex(func: Any, norm: str | None) -> None:
    check_vjp(func, c(2, 5), norm=norm)
    check_vjp(func, t(2, 5), norm=norm)
    for n in (3, 8):
        check_vjp(func, c(4, 2), n=n, dim=0, norm=norm)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("func", [torch.fft.rfft, torch.fft.ihfft])
def test_from_real(func: Any, norm: str | None) -> None:
    for size in (1, 2, 5, 6):
        check_vjp(func, t(2, size), norm=norm)
    for n in (3, 4, 9):
        check_vjp(func, t(6, 2), n=n, dim=0, norm=norm)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("func", [torch.fft.irfft, torch.fft.hfft])
def test_to_real(func: Any, norm: str | None) -> None:
    check_vjp(func, c(2, 4), norm=norm)
    check_vjp(func, t(2, 4), norm=norm)
    for n in (1, 2, 5, 6, 11):
        check_vjp(func, c(4, 2), n=n, dim=0, norm=norm)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["fft2", "ifft2", "fftn", "ifftn"])
def test_complex_of_several_dims(name: str, norm: str | None) -> None:
    func = getattr(torch.fft, name)
    check_vjp(func, c(2, 3, 4), norm=norm)
    check_vjp(func, c(2, 3, 4), dim=(0, 2), norm=norm)
    check_vjp(func, t(2, 3, 4), s=(4, 3), norm=norm)
    check_vjp(func, c(2, 3, 4), s=(-1, 6), dim=(1, 0), norm=norm)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["rfft2", "rfftn", "irfft2", "irfftn"])
def test_real_of_several_dims(name: str, norm: str | None) -> None:
    func = getattr(torch.fft, name)
    x = c if name.startswith("i") else t
    check_vjp(func, x(2, 3, 4), norm=norm)
    check_vjp(func, x(4, 3, 2), dim=(1, 0), norm=norm)
    check_vjp(func, x(2, 3, 4), s=(4, 3), norm=norm)
    check_vjp(func, x(3, 4), s=(5, -1) if x is t else (5, 7), dim=(0, 1), norm=norm)


@pytest.mark.parametrize("func", [torch.fft.fftshift, torch.fft.ifftshift])
def test_shifts(func: Any) -> None:
    check_vjp(func, t(5, 4))
    check_vjp(func, c(5, 4), dim=0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hop_length": 3},
        {"normalized": True},
        {"onesided": False},
        {"center": False},
        {"pad_mode": "constant"},
        {"win_length": 5},
    ],
    ids=str,
)
def test_stft(options: dict[str, Any]) -> None:
    window = (torch.rand(options.get("win_length", 8)) + 0.5).requires_grad_()
    options = options | {"n_fft": 8, "return_complex": True}
    check_vjp(torch.stft, t(21), window=window, **options)
    check_vjp(torch.stft, t(2, 20), window=window, **options)


def test_stft_of_complex_signals() -> None:
    window = (torch.rand(8) + 0.5).requires_grad_()
    check_vjp(torch.stft, c(2, 20), n_fft=8, window=window, return_complex=True)
    check_vjp(torch.stft, c(20), n_fft=7, window=c(7), return_complex=True)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hop_length": 3},
        {"normalized": True},
        {"center": False},
        {"length": 11},
        {"length": 20},
        {"win_length": 6},
    ],
    ids=str,
)
def test_istft(options: dict[str, Any]) -> None:
    window = (torch.rand(options.get("win_length", 8)) + 0.5).requires_grad_()
    check_vjp(torch.istft, c(5, 6), n_fft=8, window=window, **options)
    check_vjp(torch.istft, c(2, 5, 6), n_fft=8, window=window, **options)


def test_istft_of_complex_signals() -> None:
    window = (torch.rand(8) + 0.5).requires_grad_()
    options = {"n_fft": 8, "window": window, "return_complex": True}
    check_vjp(torch.istft, c(2, 8, 6), onesided=False, **options)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("func", [torch.fft.hfft2, torch.fft.hfftn])
def test_hermitian(func: Any, norm: str | None) -> None:
    check_vjp(func, c(2, 4, 3), norm=norm)
    check_vjp(func, c(2, 4, 3), s=(3, 7), dim=(0, 2), norm=norm)
    check_vjp(func, t(4, 3), norm=norm)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("func", [torch.fft.ihfft2, torch.fft.ihfftn])
def test_inverse_hermitian(func: Any, norm: str | None) -> None:
    check_vjp(func, t(2, 4, 3), norm=norm)
    check_vjp(func, t(2, 4, 6), s=(3, 5), dim=(0, 2), norm=norm)
