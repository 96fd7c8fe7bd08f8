"""Shapes, joining and cutting: values and text against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import tensor

from luxgen.ir.values import Leaf, Value
from luxgen.targets.numpy.rules import template
from luxgen.targets.numpy.rules.op import Op, Refused
from tests.ops.opcheck import check, evaluate

torch.set_num_threads(1)
T = torch.Tensor
A = torch.arange(24.0).reshape(2, 3, 4)
M = torch.arange(12).reshape(3, 4)
V = torch.arange(5.0)
S = tensor(2.5)
EMPTY = torch.zeros(0, 3, 4)


TEXTS: list[tuple[str, Any, tuple[Any, ...]]] = [
    ("v0.reshape(6, 4)", T.view, (A, 6, 4)),
    ("v0.reshape(6, -1)", T.reshape, (A, (6, -1))),
    ("v0.reshape(-1)", T.view, (A, -1)),
    ("flatten(v0, 1)", torch.flatten, (A, 1)),
    ("v0.ravel()", torch.flatten, (A,)),
    ("v0.transpose(0, 2, 1)", T.permute, (A, 0, 2, 1)),
    ("v0.swapaxes(1, 2)", torch.transpose, (A, 1, 2)),
    ("v0.swapaxes(-2, -1)", T.transpose, (A, -2, -1)),
    ("v0.T", T.t, (M,)),
    ("v0.T", torch.transpose, (M, 0, 1)),
    ("v0[:, None]", torch.unsqueeze, (A, 1)),
    ("v0[None]", torch.unsqueeze, (A, 0)),
    ("v0[..., None]", T.unsqueeze, (A, -1)),
    ("v0[:, :, None]", T.unsqueeze, (A, 2)),
    ("np.concatenate((v0, v1), axis=1)", torch.cat, ([A, A + 1], 1)),
    ("np.stack((v0, v1))", torch.stack, ([A, A + 1],)),
    ("np.split(v0, 3, axis=1)", torch.chunk, (A, 3, 1)),
    ("np.split(v0, 2, axis=-1)", T.split, (A, 2, -1)),
    ("np.split(v0, [1, 3], axis=2)", T.split, (A, [1, 2, 1], 2)),
    ("tuple(v0)", torch.unbind, (A,)),
    ("np.broadcast_to(v0, (7, 5))", T.expand, (V, 7, 5)),
    ("np.tile(v0, (2, 1))", T.repeat, (M, 2, 1)),
    ("np.roll(v0, (1, -1), axis=(0, 2))", torch.roll, (A, (1, -1), (0, 2))),
    ("np.flip(v0, axis=(0, 2))", torch.flip, (A, (0, 2))),
    ("np.tril(v0)", torch.tril, (M,)),
    ("np.triu(v0, 1)", torch.triu, (M, 1)),
    ("v0[:, 1:3]", torch.narrow, (A, 1, 1, 2)),
    ("v0[..., 0]", torch.select, (A, 2, 0)),
    ("v0.squeeze(axis=1)", torch.squeeze, (A[:, :1], 1)),
    ("v0", torch.squeeze, (A, 1)),
    ("np.moveaxis(v0, 0, 2)", torch.movedim, (A, 0, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "function", "args"), TEXTS)
def test_text(text: str, function: Any, args: tuple[Any, ...]) -> None:
    assert check(function, *args) == text


def test_reshaping() -> None:
    check(T.reshape, A, 4, 6)
    check(T.view, S, ())
    check(T.view, torch.ones(1, 1), ())
    check(T.view, S, 1, 1)
    check(T.view, EMPTY, -1, 4)
    check(T.view, A, torch.int32)
    check(T.view_as, A, torch.zeros(6, 4))
    check(T.reshape_as, A, torch.zeros(6, 4))
    check(torch.ravel, A)
    check(torch.ravel, S)


@pytest.mark.parametrize("dims", [(), (1,), (0, 1), (1, 2), (-2,), (-2, -1), (0, 0)])
def test_flatten(dims: tuple[int, ...]) -> None:
    check(torch.flatten, A, *dims)
    check(torch.flatten, EMPTY, *dims)


def test_flatten_of_a_scalar() -> None:
    check(torch.flatten, S)
    check(torch.flatten, S, 0, 0)


def test_unflatten() -> None:
    check(T.unflatten, A, 2, (2, 2))
    check(T.unflatten, A, -1, (-1, 2))
    check(T.unflatten, A, 1, (3, -1))
    check(torch.unflatten, A, 2, (1, -1, 2))


def test_dim_order() -> None:
    for function in (T.t, torch.t):
        check(function, V)
    check(torch.transpose, A, 0, -1)
    check(torch.transpose, A, 1, 1)
    check(torch.permute, A, (2, -3, 1))
    check(torch.swapaxes, A, 0, 1)
    check(torch.movedim, A, (0, 1), (-1, 0))
    check(torch.moveaxis, A, -1, 0)
    check(torch.adjoint, A)
    check(torch.adjoint, torch.complex(A, A + 1))
    for name in ("T", "mT", "H", "mH"):
        matrix = torch.complex(M.float(), M + 1.0)
        text = template(Op(name, {"input": Value("complex64", (3, 4))}))
        expected = getattr(matrix, name).resolve_conj().numpy()
        ours = evaluate(text.replace("input", "v0"), {"v0": matrix.numpy()})
        np.testing.assert_array_equal(ours, expected)


def test_squeeze() -> None:
    x = torch.zeros(2, 1, 3, 1)
    check(torch.squeeze, x)
    check(torch.squeeze, x, 0)
    check(torch.squeeze, x, -1)
    check(torch.squeeze, x, (0, 1, 3))
    check(torch.squeeze, x, (1, -1))
    check(torch.squeeze, S, 0)


def test_squeeze_of_a_free_dim_looks_at_run_time() -> None:
    free = Value("float32", (3, 4), (5, 4))
    assert template(Op("squeeze", {"input": free, "dim": 0})) == "squeeze(input, dim)"
    assert template(Op("squeeze", {"input": free, "dim": 1})) == "input"
    both = {"input": free, "dim": (0, 1)}
    assert template(Op("squeeze", both)) == "squeeze(input, 0)"
    free = Value("float32", (3, 1, 4), (5, 1, 2))
    text = template(Op("squeeze", {"input": free, "dim": (0, 1, -1)}))
    assert text == "squeeze(squeeze(squeeze(input, 2), 1), 0)"


def test_expand() -> None:
    x = torch.arange(3.0).reshape(3, 1)
    check(T.expand, x, 3, 4)
    check(T.expand, x, -1, 4)
    check(T.expand, x, (2, -1, 4))
    check(T.expand, S, 2)
    check(T.expand_as, x, torch.zeros(2, 3, 4))
    check(torch.broadcast_to, x, (2, 3, 4))
    check(torch.broadcast_tensors, x, V[:4])
    weight = Leaf(("cls",), "ps", "float32", (1, 1, 8))
    text = template(Op("expand", {"input": weight, "size": (7, -1, -1)}))
    assert text == "np.broadcast_to(input, (7, 1, 8))"


def test_repeating() -> None:
    check(T.repeat, V, 2, 3)
    check(torch.tile, M, (2,))
    check(torch.tile, V, (2, 2))
    check(torch.repeat_interleave, M, 2)
    check(torch.repeat_interleave, M, 2, dim=1)
    check(torch.repeat_interleave, M, tensor([1, 0, 2]), dim=0)
    check(torch.repeat_interleave, tensor([1, 0, 2]))


@pytest.mark.parametrize(
    "name", ["cat", "stack", "hstack", "vstack", "dstack", "column_stack"]
)
def test_joining(name: str) -> None:
    function = getattr(torch, name)
    check(function, [M, M + 1])
    check(function, (M.float(), M))  # torch's dtype: float32
    check(function, [M, M > 3, M.int()])
    check(function, [V])
    if name != "cat":
        check(function, [S, S + 1])


def test_cat_and_stack_dims() -> None:
    check(torch.cat, [A, A], -1)
    check(torch.cat, [torch.zeros(0), A], 1)  # empty 1-d tensors are skipped
    check(torch.cat, [EMPTY, A], 0)
    check(torch.stack, [A, A, A], 2)
    check(torch.stack, [S, S], -1)


def test_cutting() -> None:
    x = torch.arange(14).reshape(7, 2)
    for count in (1, 3, 5, 7):
        check(torch.chunk, x, count)
        check(torch.split, x, count)
        check(torch.tensor_split, x, count)
    check(torch.chunk, x, 2, -1)
    check(torch.split, x, [3, 4])
    check(torch.tensor_split, x, (2, 5))
    check(torch.hsplit, x, 2)
    check(torch.vsplit, x, (1, 3))
    check(torch.dsplit, A, 2)
    check(torch.hsplit, x[:, 0], [3])
    check(torch.unbind, A, 1)
    check(torch.unbind, A, -1)
    check(torch.split, EMPTY, 2)


def test_cutting_a_free_dim_looks_at_run_time() -> None:
    free = Value("float32", (6, 4), (9, 4))
    split = template(Op("split", {"input": free, "split_size": 3}))
    chunk = template(Op("chunk", {"input": free, "chunks": 3}))
    assert (split, chunk) == ("split(input, split_size)", "chunk(input, chunks)")
    x = np.arange(10).reshape(5, 2)
    ours = evaluate("split(x, 3)", {"x": x}) + evaluate("chunk(x, 3)", {"x": x})
    expected = [*torch.from_numpy(x).split(3), *torch.from_numpy(x).chunk(3)]
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(a, b.numpy())


def test_parts() -> None:
    check(torch.select, A, 1, -1)
    check(torch.narrow, A, 2, -3, 3)
    check(torch.narrow, A, 1, -2, 1)
    check(torch.narrow, A, 0, 0, 2)
    check(torch.narrow, A, 1, tensor(1), 2)
    check(torch.slice_scatter, A, torch.zeros(2, 1, 4), 1, 1, 3, 2)
    check(torch.slice_scatter, A, torch.zeros(1, 3, 4), 0, -1)
    check(torch.select_scatter, A, torch.zeros(2, 4), 1, 2)
    check(torch.diagonal_scatter, M, tensor([7, 7, 7]))
    check(torch.diagonal_scatter, A, torch.zeros(2, 3), 1, 1, 2)


def test_moving() -> None:
    check(torch.roll, A, 5)
    check(torch.roll, A, (2,), (1,))
    check(torch.flip, A, (0, -1))
    check(torch.fliplr, M)
    check(torch.flipud, M)
    for k in (-1, 0, 1, 2, 3):
        check(torch.rot90, A, k, (0, 2))
    check(torch.rot90, M)


def test_diagonals() -> None:
    check(torch.diagonal, M, 1)
    check(torch.diagonal, A, 0, 1, 2)
    check(torch.diagonal, A, -1, -2, -1)
    check(torch.diagonal, A, dim1=1, dim2=2)
    check(torch.diag, V, -1)
    check(torch.diag, M, 1)
    check(torch.diagflat, M)
    check(torch.diagflat, V, 2)
    check(torch.diag_embed, A)
    check(torch.diag_embed, M, 1, 0, 2)
    check(torch.diag_embed, M, -2)
    for name in ("tril", "triu"):
        check(getattr(torch, name), A, -1)
        check(getattr(torch, name), M > 3)
        check(getattr(torch, f"{name}_indices"), 3, 4, 1)
        check(getattr(torch, f"{name}_indices"), 4, 3)


def test_windows() -> None:
    check(T.unfold, A, 2, 2, 1)
    check(T.unfold, A, 1, 2, 1)
    check(T.unfold, V, 0, 3, 2)
    check(T.unfold, A, -1, 2, 2)


def test_grids_and_products() -> None:
    check(torch.meshgrid, V, M[0].float(), indexing="xy")
    check(torch.meshgrid, [V, M[0].float()], indexing="ij")
    check(torch.block_diag, M, V, S)
    check(torch.block_diag, M, M + 1)
    check(torch.cartesian_prod, V, V + 1, V[:2])
    check(torch.cartesian_prod, V)
    check(torch.combinations, V)
    check(torch.combinations, V, 3)
    check(torch.combinations, V, 2, with_replacement=True)
    check(torch.combinations, V[:2], 3)
    for name in ("atleast_1d", "atleast_2d", "atleast_3d"):
        for x in (S, V, M, A):
            check(getattr(torch, name), x)
        check(getattr(torch, name), S, V)


def test_differences() -> None:
    check(torch.diff, A)
    check(torch.diff, A, 2, 1)
    check(torch.diff, M > 4)
    check(torch.diff, V, prepend=V[:1], append=V[:2])
    check(torch.gradient, V)
    check(torch.gradient, M.float(), spacing=2.0, dim=1)
    check(torch.gradient, M.float(), spacing=(tensor([0.0, 1, 3]), V[:4] ** 2))
    check(torch.unravel_index, tensor([5, 7]), (3, 4))


def test_memory_layout() -> None:
    check(T.fill_diagonal_, M.clone(), 7)
    x = Value("float32", (24,))
    args = {"input": x, "size": (3, 2, 4), "stride": (6, 3, 1), "contiguous": True}
    assert template(Op("as_strided", args)) == "as_strided(input, size, stride)"
    ours = evaluate("as_strided(x, (3, 2, 4), (6, 3, 1))", {"x": A.numpy()})
    expected = torch.as_strided(A, (3, 2, 4), (6, 3, 1)).numpy()
    np.testing.assert_array_equal(ours, expected)


def test_atens_names() -> None:
    x = Value("float32", (2, 3, 4))
    end = {"input": x, "dim": 1, "start": 1, "end": 2**63 - 1}
    assert template(Op("slice", end)) == "input[:, start:]"
    step = {"input": x, "dim": 2, "start": 0, "end": 3, "step": 2}
    assert template(Op("slice", step)) == "input[..., start:end:step]"
    check(torch.slice_copy, A, 0, 1)
    check(torch.view_as_real_copy, torch.complex(A, A))


def test_roll_of_several_shifts_needs_dims() -> None:
    args = {"input": Value("float32", (3, 4)), "shifts": (1, 0)}
    with pytest.raises(Refused, match="dims"):
        template(Op("roll", args))


def test_memory_layout_is_refused() -> None:
    with pytest.raises(Refused, match="layout"):
        check(torch.as_strided, A, (2, 2), (1, 2))
