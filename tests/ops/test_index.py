"""Indexing, gather and scatter, masks and searching: values against torch."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest
import torch
from torch import tensor

from luxgen.frontends.bind import dtype_name
from luxgen.ir.values import Value, map_arg
from luxgen.targets.numpy.expression import substitute
from luxgen.targets.numpy.rules import template
from luxgen.targets.numpy.rules.op import Op, Refused
from tests.ops.opcheck import check, evaluate

torch.set_num_threads(1)
T = torch.Tensor
A = torch.arange(120.0).reshape(2, 3, 4, 5)
M = torch.arange(12.0).reshape(3, 4)
V = torch.arange(5.0)
S = tensor(2.5)
ROWS = tensor([1, 0, 1])
COLS = tensor([2, 3, 0])
GRID = tensor([[0, 1], [1, 0]])
ALL = slice(None)


def test_text_is_what_a_person_writes() -> None:
    texts: list[tuple[str, Any]] = [
        ("v0[0]", 0),
        ("v0[-1]", -1),
        ("v0[:, -1]", (ALL, -1)),
        ("v0[..., None]", (..., None)),
        ("v0[:, 1:3]", (ALL, slice(1, 3))),
        ("v0[1:]", slice(1, None)),
        ("v0[:, ::2]", (ALL, slice(None, None, 2))),
        ("v0[..., :2]", (..., slice(None, 2))),
        ("v0[None, :, None]", (None, ALL, None)),
        ("v0[v1]", ROWS),
        ("v0[:, v1]", (ALL, ROWS)),
        ("v0[[0, 1]]", [0, 1]),
        ("v0[0][:, v1]", (0, ALL, COLS)),  # torch selects before it indexes
        ("v0[0, v1]", (0, ROWS)),
        ("v0", ...),
    ]
    for text, index in texts:
        assert check(T.__getitem__, A, index) == text


INDICES: list[Any] = [
    (0, 1, 2, 3),
    (1, ..., 2),
    (..., 0, slice(1, 2)),
    (slice(5, 9),),
    (slice(-2, -1), 0),
    (ROWS, ROWS),
    (ROWS, ALL, COLS),
    (ALL, ROWS, COLS),
    (GRID, 0),
    (0, GRID),
    (None, ROWS),
    (ROWS, None, ALL, COLS),
    (0, ALL, COLS),
    (ALL, 0, ALL, COLS),
    (0, None, ALL, COLS),
    (ROWS, ALL, 0),
    (ALL, ROWS, 0, COLS),
    (0, ..., COLS),
    (ROWS, 0, ..., COLS),
    (1, ROWS, ALL, COLS),
    (ALL, 1, COLS),
    (..., COLS, 0),
    (GRID, ALL, GRID),
    (tensor(1),),
    (ALL, tensor(-1)),
    (tensor(0), ALL, COLS),
    ([0, 1, 1],),
    (ALL, [0, 2], [1, 3]),
    ([[0, 1], [1, 0]],),
    (slice(0, 0),),
    (ROWS[:0],),
    (ALL, ALL, ALL, ALL),
    (..., None),
    (None, ..., 0),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_getitem(index: Any) -> None:
    check(T.__getitem__, A, index)


MASKS: list[Any] = [
    A > 50,
    (A[:, 0, 0, 0] > 10,),
    (ALL, A[0, :, 0, 0] > 10),
    (0, A[0, :, 0, 0] > 10),
    (A[:, :, 0, 0] > 30,),
    (ALL, A[0, :, :, 0] > 10),
    (0, ALL, A[0, 0, :, 0] > 5),
    (ROWS, ALL, tensor([True, False, True, True])),
    (A[:, :, 0, 0] > 30, ALL, COLS[:1]),
]


@pytest.mark.parametrize("index", MASKS, ids=range(len(MASKS)))
def test_getitem_by_mask(index: Any) -> None:
    check(T.__getitem__, A, index)


def test_getitem_of_vectors_and_scalars() -> None:
    check(T.__getitem__, V, 3)
    check(T.__getitem__, V, tensor(3))
    check(T.__getitem__, S, None)
    check(T.__getitem__, S, (..., None))
    check(T.__getitem__, V, V > 2)
    check(T.__getitem__, V, tensor([[0, 1], [4, 3]], dtype=torch.int32))


@pytest.mark.parametrize(
    "index", [True, tensor(True), tensor([1, 0], dtype=torch.uint8)]
)
def test_getitem_refused(index: Any) -> None:
    with pytest.raises(Refused):
        check(T.__getitem__, A, index)


def written(x: torch.Tensor, index: Any, value: Any) -> torch.Tensor:
    y = x.clone()
    y[index] = value
    return y


def check_setitem(x: torch.Tensor, index: Any, value: Any) -> str:
    """setitem as the IR has it: it returns the changed copy."""
    scope: dict[str, np.ndarray] = {}

    def visit(item: Any) -> Any:
        if not isinstance(item, torch.Tensor):
            return item
        name = f"v{len(scope)}"
        scope[name] = item.numpy().copy()
        return Value(dtype_name(item.dtype), tuple(item.shape), names=(name,))

    args = {"input": visit(x), "index": map_arg(visit, index), "value": visit(value)}
    op = Op("setitem", args, (Value(dtype_name(x.dtype), tuple(x.shape)),))
    tree = substitute(template(op), op.args, lambda v: ast.Name(v.names[0]))
    text = ast.unparse(tree)
    ours, expected = evaluate(text, scope), written(x, index, value).numpy()
    assert ours.dtype == expected.dtype
    np.testing.assert_array_equal(ours, expected, text)
    np.testing.assert_array_equal(scope["v0"], x.numpy())
    return text


def test_setitem_text() -> None:
    assert check_setitem(A, (ALL, 0), 1.5) == "setitem(v0, np.s_[:, 0], 1.5)"
    assert check_setitem(A, A > 3, 0.0) == "np.where(v1, 0.0, v0)"


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_setitem(index: Any) -> None:
    if isinstance(index[0], torch.Tensor) and index[0].ndim == 0 and len(index) == 3:
        with pytest.raises(Refused, match="0-d"):
            check_setitem(A, index, -1.0)
        return
    check_setitem(A, index, -1.0)
    check_setitem(A, index, S)


@pytest.mark.parametrize("index", MASKS, ids=range(len(MASKS)))
def test_setitem_by_mask(index: Any) -> None:
    check_setitem(A, index, -1.0)


def test_setitem_values() -> None:
    order = tensor([1, 0])
    check_setitem(A, (0, ALL, order), torch.arange(30.0).reshape(3, 2, 5))
    check_setitem(A, (ALL, 0, ALL, order), torch.arange(16.0).reshape(2, 4, 2))
    check_setitem(A, order, torch.arange(60.0).reshape(3, 4, 5))
    check_setitem(A, (ALL, ALL, 1), V)
    check_setitem(A, 0, torch.ones(1, 1, 3, 4, 5))
    check_setitem(V, V > 2, tensor([7.0, 8.0]))
    check_setitem(M.int(), 0, 2.75)
    check_setitem(M > 3, (ALL, 0), True)
    check_setitem(A, A > 30, tensor(4))


def test_index_functions() -> None:
    check(torch.index_select, A, 1, tensor([2, 0]))
    check(torch.index_select, A, -1, tensor([2, 0], dtype=torch.int32))
    check(torch.index_select, V, 0, tensor(2))
    check(torch.index_fill, M, 1, COLS, 7.0)
    check(torch.index_fill, M, -2, tensor([0]), S)
    check(torch.index_copy, M, 1, tensor([3, 0]), torch.arange(6.0).reshape(3, 2))
    check(torch.index_copy, V, 0, tensor([1]), tensor([9.0]))
    check(torch.take, M, tensor([[0, 5], [-1, 2]]))
    check(torch.take_along_dim, M, tensor([[0], [1], [3]]), 1)
    check(torch.take_along_dim, M, tensor([[0, 2]]), 1)
    check(torch.take_along_dim, M, tensor([3, 4]))
    check(T.put, M, tensor([3, 11]), tensor([-1.0, -2.0]))
    check(T.put, M, tensor([3, 3]), tensor([-1.0, -2.0]), True)


def test_index_put() -> None:
    values = tensor([10.0, 20.0, 30.0])
    check(torch.index_put, M, (ROWS, COLS), values)
    check(torch.index_put, M, (ROWS, ROWS), values, accumulate=True)
    check(torch.index_put, M, (ROWS,), values[:1], accumulate=True)
    check(torch.index_put, M, (M > 5,), S, accumulate=True)
    check(torch._unsafe_index, A, [ROWS, COLS[:1]])


def test_gather() -> None:
    index = tensor([[0, 1, 2, 0], [2, 2, 1, 1]])
    assert check(torch.gather, M, 1, tensor([[0], [3], [1]])).startswith(
        "np.take_along"
    )
    check(torch.gather, M, 0, index)
    check(torch.gather, M, 0, index[:, :2])  # a smaller index reads a part of input
    check(torch.gather, M, -1, index)
    check(torch.gather, V, 0, tensor([4, 4]))
    check(torch.gather, S, 0, tensor(0))
    check(torch.gather, S, 0, tensor([0, 0]))


INDEX = tensor([[0, 1, 2, 0], [0, 0, 1, 1]])
SRC = torch.arange(10.0, 22.0).reshape(3, 4)


def test_scatter() -> None:
    unique = tensor([[0, 1, 2, 0], [1, 0, 1, 2]])
    check(torch.scatter, M, 0, unique, SRC)
    check(torch.scatter, M, 0, unique[:, :2], SRC)
    check(torch.scatter, M, 1, tensor([[3], [0], [1]]), -1.0)
    check(torch.scatter, M, 0, unique, 2.0)
    check(torch.scatter, M, 0, INDEX, SRC, reduce="add")
    check(torch.scatter, M, 0, INDEX, 3.0, reduce="multiply")
    check(torch.scatter, V, 0, tensor([2]), tensor([9.0]))
    check(torch.scatter, M.T.contiguous().T, 0, unique, SRC)
    check(torch.scatter, S, 0, tensor(0), tensor(3.0))


def test_scatter_add() -> None:
    check(torch.scatter_add, M, 0, INDEX, SRC)
    check(torch.scatter_add, M, -1, INDEX[:, :3], SRC)
    check(torch.scatter_add, M.long(), 0, INDEX, SRC.long())
    check(torch.scatter_add, S, 0, tensor(0), S)
    check(torch.scatter_add, M, 0, INDEX[:0], SRC[:0])
    check(torch.index_add, M, 1, tensor([1, 1, 3]), SRC[:, :3])
    check(torch.index_add, M, 0, tensor([2, 2]), SRC[:2], alpha=0.5)
    check(torch.index_add, M.long(), -2, tensor([0, 0, 1]), SRC.long())


@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_scatter_reduce(reduce: str, include_self: bool) -> None:
    for x, src in ((M, SRC - 15), (M.long() - 5, SRC.long() - 15)):
        check(torch.scatter_reduce, x, 0, INDEX, src, reduce, include_self=include_self)
    check(torch.scatter_reduce, M, 1, INDEX, SRC, reduce, include_self=include_self)
    if reduce != "sum":
        rows = tensor([2, 0, 2])
        check(torch.index_reduce, M, 0, rows, SRC, reduce, include_self=include_self)


def test_searching() -> None:
    check(torch.argwhere, M > 5)
    check(torch.nonzero, M > 5)
    check(torch.nonzero, S)
    check(torch.nonzero_static, M > 5, size=3)
    check(torch.nonzero_static, M > 5, size=9, fill_value=7)
    sequence, values = tensor([1.0, 2, 2, 5]), tensor([[0.0, 2.0], [5.0, 9.0]])
    for right in (False, True):
        check(torch.searchsorted, sequence, values, right=right)
        check(torch.bucketize, values, sequence, right=right)
        check(torch.searchsorted, M, M + 0.5, right=right)
        check(torch.searchsorted, M, M[:, :2], right=right, out_int32=True)
    check(torch.searchsorted, sequence, values, side="right")
    check(torch.searchsorted, sequence.flip(0), values, sorter=tensor([3, 2, 1, 0]))
    check(torch.isin, M, tensor([1.0, 5.0]))
    check(torch.isin, M, tensor([1.0, 5.0]), invert=True)


def test_runs() -> None:
    x = tensor([1, 1, 2, 2, 3, 1, 1, 2])
    check(T.unique_consecutive, x)
    check(T.unique_consecutive, x, return_inverse=True)
    check(T.unique_consecutive, x, return_counts=True)
    check(
        T.unique_consecutive, x.reshape(2, 4), return_inverse=True, return_counts=True
    )
    check(T.unique_consecutive, x.reshape(4, 2), dim=0, return_inverse=True)


def test_unique() -> None:
    x = tensor([[3, 1, 2], [1, 1, 3]])
    check(T.unique, x)
    check(T.unique, x, return_inverse=True)
    check(T.unique, x, return_counts=True)
    check(T.unique, x.float(), return_inverse=True, return_counts=True)
    check(T.unique, tensor([[1, 2], [1, 2], [0, 1]]), dim=0, return_inverse=True)
    check(T.unique, tensor([1.0, float("nan"), float("nan")]))
