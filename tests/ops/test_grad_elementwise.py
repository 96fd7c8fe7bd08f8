"""VJP rows of elementwise arithmetic against torch.autograd."""

import torch

from tests.ops.gradcheck import check_vjp


def t(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, requires_grad=True)


def test_add() -> None:
    check_vjp(torch.add, t(3, 4), t(4))
    check_vjp(torch.add, t(3, 4), t(2, 1, 4), alpha=2)


def test_mul() -> None:
    check_vjp(torch.mul, t(3, 4), t(3, 1))
    check_vjp(torch.mul, t(3, 4), 2.5)


def test_tanh() -> None:
    print(check_vjp(torch.tanh, t(3, 4)))
