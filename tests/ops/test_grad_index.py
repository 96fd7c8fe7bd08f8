"""VJP rows of indexing against torch.autograd."""

from typing import Any

import pytest
import torch

from luxgen.passes.vjp.row import NoGradient
from tests.ops.gradcheck import check_layer as check_op
from tests.ops.gradcheck import check_vjp, t

Tensor = torch.Tensor
at = torch.tensor


INDEXES: list[Any] = [
    1,
    -1,
    slice(1, 3),
    (slice(None), slice(None, None, 2)),
    (Ellipsis, 0),
    (None, 1, slice(0, 2)),
    (),
    Ellipsis,
    at([0, 2, 0, 0]),
    at(1),
    (slice(None), at([1, 1, 3])),
    (at([[0, 1], [1, 0]]), at([2, 2])),
    (at([0, 0]), slice(None), at([1, 1])),
    (0, slice(None), at([1, 1])),
    ([0, 0], slice(1, 3)),
    at([-1, 2]),
    (None, at([0, 0])),
]


@pytest.mark.parametrize("index", INDEXES, ids=str)
def test_getitem(index: Any) -> None:
    check_vjp(Tensor.__getitem__, t(3, 4, 5), index)


def test_getitem_by_masks() -> None:
    x = t(3, 4, 5)
    mask = torch.rand(3, 4) > 0.5
    text = check_vjp(Tensor.__getitem__, x, mask)
    assert "repeats" not in text
    check_vjp(Tensor.__getitem__, x, torch.rand(3, 4, 5) > 0.5)
    check_vjp(Tensor.__getitem__, x, (slice(None), at([True, False, True, True])))
    check_vjp(Tensor.__getitem__, x, at([False, False, False]))


def set_item(input: Tensor, index: Any, value: Any) -> Tensor:
    y = input.clone()
    y[index] = value
    return y


def check_setitem(index: Any, value: Any) -> None:
    args = {"input": t(3, 4, 5), "index": index, "value": value}
    check_op("setitem", args, set_item)


@pytest.mark.parametrize(
    ("index", "shape"),
    [
        (1, (4, 5)),
        (1, ()),
        (1, (5,)),
        (slice(1, 3), (2, 4, 5)),
        ((slice(None), 2), (3, 1)),
        ((Ellipsis, slice(0, 2)), (4, 2)),
        ((None, 1), (1, 4, 5)),
        (at([0, 2]), (2, 4, 5)),
        ((slice(None), at([1, 3])), (1, 2, 5)),
        ((at([0, 1]), slice(None), at([1, 2])), (2, 4)),
        ((0, slice(None), at([1, 2])), (4, 2)),
        (at([True, False, True]), (2, 4, 5)),
        (at([True, False, True]), (1, 4, 1)),
        (at([True, False, True]), ()),
        ((slice(None), at([True, False, True, True])), (3, 5)),
        (at([[True] * 4, [False] * 4, [True] * 4]), (8, 5)),
    ],
)
def test_setitem(index: Any, shape: tuple[int, ...]) -> None:
    check_setitem(index, t(*shape))


def test_setitem_of_a_number() -> None:
    check_setitem((slice(None), at([1, 3])), 2.0)
    check_setitem(torch.rand(3, 4, 5) > 0.5, 2.0)
    check_setitem(torch.rand(3, 4, 5) > 0.5, t())


def test_aten_index() -> None:
    for index in (torch.ops.aten.index, torch.ops.aten._unsafe_index):
        check_vjp(index.Tensor, t(3, 4), [None, at([1, 1, 0])])
        check_vjp(index.Tensor, t(3, 4), [at([1, 1, 0]), at([2, 2, 2])])


def test_index_put() -> None:
    values, index = t(3), (at([0, 1, 1]), at([2, 0, 3]))
    for func in (torch.index_put, torch.ops.aten._unsafe_index_put):
        check_vjp(func, t(3, 4), index, values)
        check_vjp(func, t(3, 4), index, values, True)
    check_vjp(torch.index_put, t(3, 4), (at([0, 0]),), t(4), accumulate=True)
    check_vjp(torch.index_put, t(3, 4), (at([True, False, True]),), t(1))


def test_index_put_impl() -> None:
    def reference(input: Tensor, indices: Any, values: Tensor) -> Tensor:
        return torch.index_put(input, indices, values)

    args = {"input": t(3, 4), "indices": [at([0, 2])], "values": t(2, 4)}
    check_op("_index_put_impl", args, reference)


def test_select() -> None:
    check_vjp(torch.select, t(3, 4, 5), 1, -1)
    check_vjp(torch.select_copy, t(3, 4, 5), -1, 2)
    check_vjp(torch.narrow, t(3, 4), 0, 1, 2)
    check_vjp(torch.narrow, t(3, 4), 1, 0, 3)
    check_vjp(torch.narrow, t(3, 4), 1, -2, 2)
    check_vjp(torch.narrow_copy, t(3, 4, 5), 2, 1, 2)
    check_vjp(torch.ops.aten.slice.Tensor, t(5, 4), 0, 1, None, 2)
    check_vjp(torch.slice_copy, t(5, 4), 1, 0, 3)


def test_index_select() -> None:
    check_vjp(torch.index_select, t(3, 4), 0, at([2, 0, 2]))
    check_vjp(torch.index_select, t(3, 4), -1, at([1]))
    check_vjp(torch.index_select, t(3, 4), 0, at(1))
    check_vjp(torch.index_select, t(), 0, at([0]))


def test_gather() -> None:
    check_vjp(torch.gather, t(3, 4), 1, at([[0, 0], [3, 1], [2, 2]]))
    check_vjp(torch.gather, t(3, 4), 0, at([[0, 0], [2, 2]]))
    check_vjp(torch.gather, t(), 0, at(0))


def test_take() -> None:
    check_vjp(torch.take, t(3, 4), at([[0, 5], [5, -1]]))
    check_vjp(torch.take_along_dim, t(3, 4), at([[0, 0], [3, 1], [-2, 2]]), 1)
    check_vjp(torch.take_along_dim, t(3, 4), at([[0], [2], [2]]), 0)
    check_vjp(torch.take_along_dim, t(1, 4), at([[0], [2], [2]]), 1)
    check_vjp(torch.take_along_dim, t(3, 4), at([0, 0, 7]))


INDEX = at([[0, 1], [2, 0]])


def test_scatter() -> None:
    check_vjp(torch.scatter, t(3, 4), 0, INDEX, t(2, 2))
    check_vjp(torch.scatter, t(3, 4), 1, INDEX, 2.0)
    check_vjp(torch.scatter_add, t(3, 4), 0, at([[0, 0], [0, 2]]), t(2, 2))
    check_vjp(torch.scatter_add, t(), 0, at(0), t())


def test_scatter_with_an_operation() -> None:
    args = {"input": t(3, 4), "dim": 0, "index": INDEX, "src": t(2, 2), "reduce": "add"}
    with pytest.raises(NoGradient, match="scatter with reduce"):
        check_op("scatter", args, lambda **kwargs: kwargs["input"] * 1)


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
def test_scatter_reduce(reduce: str, include_self: bool) -> None:
    index = at([[0, 1, 0], [0, 0, 2]])
    options = {"reduce": reduce, "include_self": include_self}
    check_vjp(torch.scatter_reduce, t(3, 4), 0, index, t(2, 3), **options)
    check_vjp(torch.scatter_reduce, t(3, 4), 1, index, t(2, 3), **options)
    check_vjp(torch.scatter_reduce, t(), 0, at(0), t(), **options)


@pytest.mark.parametrize("reduce", ["amax", "amin", "prod"])
def test_scatter_reduce_of_ties_and_zeros(reduce: str) -> None:
    x = at([0.0, 1.0, 2.0, 0.0], requires_grad=True)
    src = at([0.0, 0.0, 1.0, 1.0, 3.0, 0.0], requires_grad=True)
    index = at([0, 0, 1, 1, 2, 2])
    check_vjp(torch.scatter_reduce, x, 0, index, src, reduce)


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("reduce", ["prod", "mean", "amax", "amin"])
def test_index_reduce(reduce: str, include_self: bool) -> None:
    options = {"include_self": include_self}
    for dim, shape in ((0, (3, 4)), (1, (3, 3))):
        x, source, index = t(3, 4), t(*shape), at([0, 2, 0])
        check_vjp(torch.index_reduce, x, dim, index, source, reduce, **options)


def test_index_writes() -> None:
    index = at([2, 0])
    check_vjp(torch.index_add, t(3, 4), 0, at([2, 2]), t(2, 4))
    check_vjp(torch.index_add, t(3, 4), 1, index, t(3, 2), alpha=2.5)
    check_vjp(torch.index_copy, t(3, 4), 0, index, t(2, 4))
    check_vjp(torch.index_fill, t(3, 4), 1, index, 2.0)
    check_vjp(torch.index_fill, t(3, 2), 0, at([1, 1]), t())


def test_put() -> None:
    index = at([[1, 5], [7, 0]])
    check_vjp(torch.put, t(3, 4), index, t(2, 2))
    check_vjp(torch.put, t(3, 4), at([1, 1, 5]), t(3), True)


def test_slice_writes() -> None:
    check_vjp(torch.slice_scatter, t(5, 4), t(2, 4), 0, 1, None, 2)
    check_vjp(torch.slice_scatter, t(5, 4), t(5, 2), 1, 0, 2)
    check_vjp(torch.select_scatter, t(3, 4, 5), t(3, 4), -1, 2)
    check_vjp(torch.diagonal_scatter, t(3, 4), t(3))
    check_vjp(torch.diagonal_scatter, t(3, 4), t(2), -1)


def test_unique_has_no_gradient() -> None:
    for name in ("unique", "unique_consecutive"):
        with pytest.raises(NoGradient, match=f"torch.{name} has no gradient"):
            check_op(name, {"input": t(3)}, lambda input: input * 1)
