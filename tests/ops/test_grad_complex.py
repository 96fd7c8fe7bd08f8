"""VJP rows of complex numbers and their parts against torch.autograd."""

from __future__ import annotations

import pytest
import torch

from tests.ops.gradcheck import check_vjp, t

T = torch.Tensor


def z(*shape: int) -> T:
    return torch.randn(shape, dtype=torch.complex64, requires_grad=True)


@pytest.mark.parametrize(
    "func", [torch.real, torch.imag, torch.angle, torch.sgn, torch.abs]
)
def test_parts(func: object) -> None:
    assert callable(func)
    check_vjp(func, z(3, 4))
    check_vjp(func, z())
    zeros = torch.tensor([0j, 1 + 2j, -1j, 3 + 0j], requires_grad=True)
    check_vjp(func, zeros)


@pytest.mark.parametrize("func", [torch.conj, torch.conj_physical, torch.real])
def test_of_real_numbers_too(func: object) -> None:
    assert callable(func)
    check_vjp(func, t(3))
    check_vjp(func, z(2, 3))


def test_angle_of_real_numbers_is_flat() -> None:
    check_vjp(torch.angle, t(3))


def test_made_of_two() -> None:
    check_vjp(torch.complex, t(3), t(2, 3))
    check_vjp(torch.polar, t(2, 1), t(3))
    radius = torch.tensor([0.0, 1.0, -2.0], requires_grad=True)
    check_vjp(torch.polar, radius, t(3))


def test_views() -> None:
    check_vjp(torch.view_as_real, z(3, 4))
    check_vjp(torch.view_as_real, z())
    check_vjp(torch.view_as_complex, t(3, 4, 2))
    check_vjp(torch.view_as_complex, t(2))


def test_text() -> None:
    assert check_vjp(torch.abs, z(3)) == "np.abs(v0)\nv0 * sgn(v1)"
    assert check_vjp(torch.imag, z(3)) == "v0.imag\n1j * v0.astype(np.complex64)"
