"""VJP rows of norms of vectors against torch.autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from luxgen.passes.vjp.row import NoGradient
from tests.ops.gradcheck import check_vjp, t

INF = float("inf")
ORDERS = (0, 0.5, 1, 1.5, 2, 3, 4.5, INF, -INF, -1)
DIMS: list[dict[str, Any]] = [
    {}, {"dim": 1}, {"dim": (0, 2)}, {"dim": -1, "keepdim": True},
]  # fmt: skip


@pytest.mark.parametrize("options", DIMS)
@pytest.mark.parametrize("order", ORDERS)
def test_orders(order: float, options: dict[str, Any]) -> None:
    check_vjp(torch.linalg.vector_norm, t(3, 4, 2), order, **options)
    check_vjp(torch.norm, t(3, 4, 2), order, **options)


@pytest.mark.parametrize("order", [0, 1, 2, 3, INF])
def test_complex(order: float) -> None:
    x = t(3, 4, dtype=torch.complex64)
    check_vjp(torch.linalg.vector_norm, x, order)
    check_vjp(torch.linalg.vector_norm, x, order, dim=1)


@pytest.mark.parametrize("order", [0.5, 1, 1.5, 2, 3, INF])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_subgradient_at_zero(order: float) -> None:
    x = torch.zeros(3, 4)
    x[0, 1], x[1, 2], x[1, 3] = 2.0, -3.0, 3.0
    check_vjp(torch.norm, x.clone().requires_grad_(), order, 1)
    check_vjp(torch.norm, torch.zeros(3, requires_grad=True), order)


def test_forms() -> None:
    check_vjp(torch.norm, t(3, 4))
    check_vjp(torch.norm, t(3, 4), "fro", (0, 1))
    check_vjp(torch.norm, t(3, 4), dim=1, dtype=torch.float64)
    check_vjp(torch.norm, t())
    check_vjp(torch.norm, t(2, 3, dtype=torch.float64), 2)


def test_nuclear() -> None:
    check_vjp(torch.norm, t(3, 4), "nuc")
    check_vjp(torch.norm, t(5, 3), "nuc", (0, 1), True)
    check_vjp(torch.norm, t(2, 5, 3), "nuc", (1, 2))
    with pytest.raises(NoGradient, match="nuclear"):
        check_vjp(torch.norm, t(2, 5, 3), "nuc", (0, 2))


def test_text() -> None:
    text = check_vjp(torch.norm, t(3, 4), 2, 1).split("\n")
    assert text == [
        "np.linalg.norm(v0, axis=1)", "v0 == 0", "np.where(v0, 1, v1)", "v0 / v1",
        "v0[:, None]", "v0 * v1",
    ]  # fmt: skip
