"""VJP rows of shape functions against torch.autograd."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from luxgen.passes.vjp.row import NoGradient
from tests.ops.gradcheck import c, check_vjp, t
from tests.ops.gradcheck import check_layer as check_op

Tensor = torch.Tensor


def test_reshape() -> None:
    assert "v1.reshape(v0.shape)" in check_vjp(torch.reshape, t(2, 6), (3, 4))
    check_vjp(torch.reshape, t(1), ())
    check_vjp(torch.reshape, t(0, 3), (3, 0, 2))
    check_vjp(Tensor.view, t(2, 6), -1)
    check_vjp(torch.ops.aten._unsafe_view, t(2, 6), [4, 3])
    check_vjp(torch.view_copy, t(2, 6), [4, 3])
    check_vjp(Tensor.view_as, t(2, 6), torch.zeros(3, 4))
    check_vjp(Tensor.reshape_as, t(2, 6), torch.zeros(12))


def test_view_of_bits() -> None:
    with pytest.raises(NoGradient):
        check_op(
            "view", {"input": t(4), "dtype": "float32"}, lambda input, dtype: input * 1
        )


def test_flatten() -> None:
    check_vjp(torch.flatten, t(2, 3, 4), 1)
    check_vjp(torch.flatten, t())
    check_vjp(torch.ravel, t(2, 3))
    check_vjp(torch.unflatten, t(2, 6), 1, (2, 3))


def test_permute() -> None:
    check_vjp(torch.permute, t(2, 3, 4), (2, 0, 1))
    check_vjp(torch.permute_copy, t(2, 3, 4), (0, -1, 1))
    check_vjp(torch.transpose, t(2, 3, 4), 0, -1)
    check_vjp(torch.transpose_copy, t(2, 3), 0, 1)
    check_vjp(torch.t, t(2, 3))
    check_vjp(torch.t, t(3))
    check_vjp(torch.t_copy, t(2, 3))
    check_vjp(Tensor.T.__get__, t(2, 3))
    check_vjp(Tensor.mT.__get__, t(2, 3, 4))
    check_vjp(torch.movedim, t(2, 3, 4), 0, 2)
    check_vjp(torch.movedim, t(2, 3, 4), (0, 1), (2, 0))


def test_adjoint() -> None:
    check_vjp(Tensor.H.__get__, c(2, 3))
    check_vjp(Tensor.mH.__get__, c(2, 3, 4))
    check_vjp(torch.adjoint, c(2, 3))


def test_squeeze() -> None:
    check_vjp(torch.squeeze, t(2, 1, 3, 1))
    assert "v0[:, None]" in check_vjp(torch.squeeze, t(2, 1, 3), 1)
    check_vjp(torch.squeeze, t(2, 3), 1)
    check_vjp(torch.squeeze, t(2, 1, 1), (1, 2))
    check_vjp(torch.squeeze_copy, t(2, 1, 1), (1,))
    check_vjp(torch.unsqueeze, t(2, 3), -1)
    check_vjp(torch.unsqueeze_copy, t(), 0)


def test_expand() -> None:
    check_vjp(Tensor.expand, t(3, 1), 2, 3, 4)
    check_vjp(torch.expand_copy, t(3, 1), (3, 4))
    check_vjp(Tensor.expand_as, t(3), torch.zeros(2, 3))
    check_vjp(torch.broadcast_to, t(1, 3), (2, 3))


def test_repeats() -> None:
    check_vjp(Tensor.repeat, t(2, 3), 2, 1, 3)
    check_vjp(Tensor.repeat, t(2), (0,))
    check_vjp(torch.tile, t(2, 3, 4), (2,))
    check_vjp(torch.tile, t(3), (2, 2))
    check_vjp(torch.repeat_interleave, t(2, 3), 2)
    check_vjp(torch.repeat_interleave, t(2, 3), 3, dim=0)
    check_vjp(torch.repeat_interleave, t(2, 3), torch.tensor([2, 0, 1]), dim=-1)
    check_vjp(torch.repeat_interleave, t(3), torch.tensor([2, 0, 1]))


def test_roll_and_flip() -> None:
    check_vjp(torch.roll, t(3, 4), 2)
    check_vjp(torch.roll, t(3, 4), (1, -2), (0, 1))
    check_vjp(torch.flip, t(3, 4), (0, 1))
    check_vjp(torch.fliplr, t(3, 4))
    check_vjp(torch.flipud, t(3, 4))
    check_vjp(torch.rot90, t(3, 4))
    check_vjp(torch.rot90, t(2, 3, 4), 3, (0, 2))


def test_triangles() -> None:
    check_vjp(torch.tril, t(3, 4))
    check_vjp(torch.triu, c(2, 3, 3), 1)


def test_diagonals() -> None:
    check_vjp(torch.diagonal, t(3, 4))
    check_vjp(torch.diagonal_copy, t(3, 4, 5), -1, 2, 0)
    check_vjp(torch.diag, t(4), 1)
    check_vjp(torch.diag, t(3, 4), -1)
    check_vjp(torch.diagflat, t(2, 2), 1)
    check_vjp(torch.diag_embed, t(2, 3), 1)
    check_vjp(torch.diag_embed, t(2, 3), -1, 0, 2)
    check_op(
        "fill_diagonal",
        {"input": t(3, 4), "fill_value": 2.0},
        lambda input, fill_value: input.clone().fill_diagonal_(fill_value),
    )


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_diff(n: int) -> None:
    check_vjp(torch.diff, t(5), n)
    check_vjp(torch.diff, t(5, 4), n, 0)
    check_vjp(torch.diff, t(2, 5), n, prepend=t(2, 1), append=t(2, 3))


def test_diff_of_no_order() -> None:
    check_vjp(torch.diff, t(5), 0)


def test_gradient() -> None:
    check_vjp(torch.gradient, t(6))
    check_vjp(torch.gradient, t(4, 5), spacing=0.5, dim=1)
    check_vjp(torch.gradient, t(4, 5), spacing=(0.5, 2.0), edge_order=2)
    coordinates = torch.tensor([0.0, 1.0, 3.0, 3.5])
    check_vjp(torch.gradient, t(4, 3), spacing=(coordinates,), dim=0)


def test_combinations() -> None:
    check_vjp(torch.combinations, t(5))
    check_vjp(torch.combinations, t(4), 3, True)


def test_as_strided() -> None:
    """Overlapping windows: each element gets the sum."""

    def reference(input: Tensor, size: Any, stride: Any, contiguous: bool) -> Tensor:
        assert contiguous
        return torch.as_strided(input, size, stride)

    for name in ("as_strided", "as_strided_copy"):
        args = {"size": (4, 3), "stride": (1, 2), "contiguous": True}
        check_op(name, {"input": t(2, 5), **args}, reference)


@pytest.mark.parametrize(
    "make",
    [
        torch.zeros_like,
        torch.ones_like,
        lambda x: torch.full_like(x, 2.0),
        lambda x: x.new_zeros(3),
    ],
)
def test_new_arrays_depend_on_nothing(make: Callable[[Tensor], Tensor]) -> None:
    assert not make(t(2, 3)).requires_grad


def test_vander() -> None:
    """torch.vander's own backward fails: it writes in place to what it needs."""

    def reference(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
        y = torch.linalg.vander(x, N=N)
        return y if increasing else y.flip(-1)

    x = torch.tensor([0.0, 1.5, -2.0], requires_grad=True)
    check_op("vander", {"x": x}, reference)
    check_op("vander", {"x": x, "N": 5, "increasing": True}, reference)
    check_op("vander", {"x": c(3), "N": 4}, reference)


def test_as_tensor() -> None:
    check_op("as_tensor", {"data": t(3)}, lambda data: torch.as_tensor(data))
    check_op("asarray", {"data": t(3)}, lambda data: torch.asarray(data))
