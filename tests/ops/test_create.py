"""New tensors: values, dtypes and text against torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import tensor

from luxgen.targets.numpy.rules.op import Refused
from tests.ops.opcheck import check

torch.set_num_threads(1)
X = torch.arange(6.0).reshape(2, 3)
INTS = torch.arange(6).reshape(2, 3)


def test_text_is_what_a_person_writes() -> None:
    texts: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("np.zeros((2, 3), np.float32)", torch.zeros, (2, 3)),
        ("np.ones((), np.float32)", torch.ones, ((),)),
        ("np.full((2,), 0.5, np.float32)", torch.full, ((2,), 0.5)),
        ("np.zeros_like(v0)", torch.zeros_like, (X,)),
        ("np.arange(5)", torch.arange, (5,)),
        ("np.arange(1, 9, 2)", torch.arange, (1, 9, 2)),
        ("np.arange(0, 1, 0.1).astype(np.float32)", torch.arange, (0, 1, 0.1)),
        ("np.linspace(0, 1, 5, dtype=np.float32)", torch.linspace, (0, 1, 5)),
        ("np.eye(3, dtype=np.float32)", torch.eye, (3,)),
        ("np.array([1.0, 2.0], np.float32)", torch.tensor, ([1.0, 2.0],)),
    ]
    for text, function, args in texts:
        assert check(function, *args) == text


DTYPES = [torch.float32, torch.float64, torch.int64, torch.int32, torch.bool]


@pytest.mark.parametrize("dtype", DTYPES)
def test_filled(dtype: torch.dtype) -> None:
    check(torch.zeros, 2, 3, dtype=dtype)
    check(torch.ones, (2, 0), dtype=dtype)
    check(torch.full, (2,), 1, dtype=dtype)
    check(torch.zeros_like, X, dtype=dtype)
    check(torch.ones_like, INTS, dtype=dtype)
    check(torch.full_like, X, 1, dtype=dtype)
    check(torch.eye, 2, 3, dtype=dtype)
    check(torch.tensor, [[0, 1], [1, 1]], dtype=dtype)
    check(torch.scalar_tensor, 1, dtype=dtype)


def test_filled_like_another() -> None:
    check(torch.Tensor.new_zeros, X, (2, 2))
    check(torch.Tensor.new_ones, INTS, 3)
    check(torch.Tensor.new_full, INTS, (2,), 7)
    check(torch.Tensor.new_full, X, (2,), 7, dtype=torch.int64)
    check(torch.Tensor.new_tensor, X, [1, 2])
    check(torch.full_like, INTS, 3)
    check(torch.full, (3,), True)
    check(torch.full, (3,), 2)
    check(torch.full, (3,), float("-inf"))


def test_python_data() -> None:
    for data in (3, 0.5, True, [1, 2], [0.5, 1], [[True], [False]], [], 1 + 2j):
        check(torch.tensor, data)
    check(torch.as_tensor, [1.5])
    check(torch.tensor, 2**40)
    check(torch.as_tensor, X)
    check(torch.as_tensor, INTS, dtype=torch.float32)


def test_ranges() -> None:
    check(torch.arange, 7)
    check(torch.arange, 5, 0, -2)
    check(torch.arange, 0, 8, 2, dtype=torch.float32)
    check(torch.arange, 0, 1, 0.3)
    check(torch.arange, 2.5)
    check(torch.arange, 1, 4.2, 0.1, dtype=torch.float64)
    check(torch.arange, 0, 5.0, 2, dtype=torch.int64)
    check(torch.arange, 0)
    check(torch.linspace, -1, 1, 7)
    check(torch.linspace, 3, -2.5, 1)
    check(torch.linspace, 0, 1, 5, dtype=torch.float64)
    check(torch.linspace, 0, 10, 1001)
    check(torch.logspace, -2, 2, 5)
    check(torch.logspace, 0, 3, 4, base=2)
    check(torch.vander, tensor([1.0, 2, 3]))
    check(torch.vander, tensor([1.0, 2, 3]), 2, increasing=True)


def test_integer_ranges_of_floats_are_refused() -> None:
    with pytest.raises(Refused, match="integers"):
        check(torch.linspace, 0, 10, 4, dtype=torch.int64)
    with pytest.raises(Refused, match="integers"):
        check(torch.logspace, 0, 2, 3, dtype=torch.int64)
