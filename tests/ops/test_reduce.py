"""Reductions and running reductions: values, dtypes and text against torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import tensor

from tests.ops.opcheck import check

torch.set_num_threads(1)
T = torch.Tensor
NAN, INF = float("nan"), float("inf")


def reals(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def integers(*shape: int) -> torch.Tensor:
    return torch.randint(-5, 6, shape, generator=torch.Generator().manual_seed(0))


X, INTS = reals(4, 5, 6), integers(4, 5, 6)
B = X > 0
S = tensor(1.5)
HOLES = X.masked_fill(X > 1, NAN)
TIES = tensor([[1.0, 3, 2, 3], [0, 0, -1, -1], [NAN, 1, NAN, 2]])


def test_text_is_what_a_person_writes() -> None:
    texts: list[tuple[str, Any, tuple[Any, ...], dict[str, Any]]] = [
        ("v0.mean(axis=(1, 2))", T.mean, (X, (1, 2)), {}),
        ("v0.sum(axis=-1, keepdims=True)", T.sum, (X, -1, True), {}),
        ("v0.sum()", torch.sum, (X,), {}),
        ("v0.std(axis=1, ddof=1)", torch.std, (X, 1), {}),
        ("v0.var(axis=1)", torch.var, (X, 1), {"unbiased": False}),
        ("v0.max()", torch.max, (X,), {}),
        ("(v0.max(axis=1), v0.argmax(axis=1))", torch.max, (X, 1), {}),
        ("np.maximum(v0, v1)", torch.max, (X, -X), {}),
        ("v0.max(axis=(0, 1))", torch.amax, (X, (0, 1)), {}),
        ("v0.argmax(axis=-1)", torch.argmax, (X, -1), {}),
        ("v0.sum(dtype=np.int64)", torch.sum, (tensor([1], dtype=torch.uint8),), {}),
        ("np.cumsum(v0, axis=1)", torch.cumsum, (INTS, 1), {}),
    ]
    for text, function, args, kwargs in texts:
        assert check(function, *args, **kwargs) == text


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "nansum", "nanmean"])
def test_sums(name: str) -> None:
    function = getattr(torch, name)
    for x in (X, S, X.double(), reals(2, 0, 3)):
        check(function, x)
    for dim in (0, -1, (0, 2)):
        if name == "prod" and dim == (0, 2):
            continue
        check(function, X, dim)
        check(function, X, dim, keepdim=True)
    check(function, X[:0], 1)
    check(function, S, 0)
    if name != "nanmean":
        check(function, INTS, dtype=torch.float32)
    check(function, X, dtype=torch.float64)
    if name.startswith("nan"):
        check(function, HOLES, 1)
    if name in ("sum", "prod"):
        for x in (INTS, B, INTS.int(), INTS.abs().byte()):
            check(function, x)
            check(function, x, 1)
    if name == "sum":
        check(function, X, ())
        check(function, X.half())


@pytest.mark.parametrize("name", ["all", "any"])
def test_truth(name: str) -> None:
    function = getattr(torch, name)
    for x in (B, X, INTS, INTS.abs().byte(), tensor(True), B[:0]):
        check(function, x)
    check(function, B, 1)
    check(function, B, (0, 2), keepdim=True)
    check(function, INTS.abs().byte(), 0)


@pytest.mark.parametrize("name", ["max", "min"])
def test_extremes(name: str) -> None:
    function = getattr(torch, name)
    for x in (X, INTS, B, TIES, S, INTS.int()):
        check(function, x)
        check(function, x, 0)
        check(function, x, -1, keepdim=True)
    check(function, X, INTS)
    other = {"max": "amax", "min": "amin"}[name]
    check(getattr(torch, other), X)
    check(getattr(torch, other), TIES, 1)
    check(getattr(torch, other), X, (0, -1), keepdim=True)
    check(getattr(torch, f"arg{name}"), X)
    check(getattr(torch, f"arg{name}"), TIES, 1)
    check(getattr(torch, f"arg{name}"), INTS, 0, keepdim=True)
    check(getattr(torch, f"arg{name}"), X, keepdim=True)
    check(getattr(torch, f"arg{name}"), S)


def test_aminmax() -> None:
    check(torch.aminmax, X)
    check(torch.aminmax, X, dim=1, keepdim=True)


@pytest.mark.parametrize("name", ["std", "var", "std_mean", "var_mean"])
def test_spread(name: str) -> None:
    function = getattr(torch, name)
    check(function, X)
    check(function, X, 1)
    check(function, X, (0, 2), keepdim=True)
    check(function, X, unbiased=False)
    check(function, X, 1, unbiased=False)
    check(function, X, dim=1, correction=0)
    check(function, X, dim=(1, 2), correction=3)
    check(function, X.double(), 0)
    check(function, torch.complex(X, X.flip(0)), 1)


def test_spread_of_too_few(recwarn: pytest.WarningsRecorder) -> None:
    check(torch.var, X[:1], 0)
    check(torch.std, X[:2], 0, correction=2)


def test_counts() -> None:
    check(torch.count_nonzero, INTS)
    check(torch.count_nonzero, INTS, 1)
    check(torch.count_nonzero, INTS, (0, 2))
    check(torch.count_nonzero, tensor(3))
    check(torch.bincount, tensor([0, 1, 1, 4]))
    check(torch.bincount, tensor([0, 1]), minlength=5)
    check(torch.bincount, tensor([0, 1, 1]), tensor([0.5, 0.1, 0.2]))
    check(torch.bincount, tensor([0, 1, 1]), tensor([1, 2, 3]))
    check(torch.histc, X, bins=7)
    check(torch.histc, X, bins=5, min=-1, max=1)
    check(torch.histc, torch.ones(4), bins=3)
    check(torch.histc, X[:0], bins=3)


def test_medians() -> None:
    line = tensor([[3.0, 1, 2, 5], [NAN, 1, 7, 2], [4, NAN, NAN, 8]])
    for name in ("median", "nanmedian"):
        function = getattr(torch, name)
        check(function, X)
        check(function, line)
        check(function, line, 1)
        check(function, line, 0, keepdim=True)
        check(function, X, -1)
        check(function, integers(7))
        check(function, S)
        check(function, S, 0)


def test_mode() -> None:
    rows = tensor([[2, 1, 2, 3, 1], [5, 5, 4, 4, 4], [3, 2, 1, 0, 9]])
    check(torch.mode, rows)
    check(torch.mode, rows.float(), 0)
    check(torch.mode, rows, 1, keepdim=True)
    check(torch.mode, tensor(3.0))


@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
def test_quantiles(name: str) -> None:
    function = getattr(torch, name)
    check(function, X, 0.3)
    check(function, X, tensor([0.1, 0.5, 1.0]))
    check(function, X, 0.25, dim=1)
    check(function, X, tensor([0.2, 0.9]), dim=-1, keepdim=True)
    check(function, HOLES, 0.5, dim=0)
    for how in ("lower", "higher", "nearest", "midpoint"):
        check(function, X, 0.37, interpolation=how)


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_running_sums(name: str) -> None:
    function = getattr(torch, name)
    for x in (
        X,
        INTS,
        B,
        S,
        tensor(2),
        X.double(),
        INTS.int(),
        INTS.abs().byte(),
        X[:0],
    ):
        check(function, x, 0)
        check(function, x, -1)
    check(function, INTS, 1, dtype=torch.float32)
    check(function, X.half(), 1)


def test_running_sums_round_once() -> None:
    check(torch.cumsum, reals(20000), 0)


def test_running_extremes() -> None:
    for x in (X, TIES, INTS, S):
        check(torch.cummax, x, 0)
        check(torch.cummin, x, -1)
    check(torch.logcumsumexp, X, 1)
    check(torch.logcumsumexp, tensor([-INF, -INF, 1.0, 90.0]), 0)
    check(torch.logcumsumexp, S, 0)


def test_integrals() -> None:
    positions = tensor([0.0, 1, 1.5, 4, 4.5, 7])
    for name in ("trapezoid", "cumulative_trapezoid"):
        function = getattr(torch, name)
        check(function, X)
        check(function, X, dx=0.1, dim=1)
        check(function, X, positions)
        check(function, X, X.cumsum(1), dim=1)
        check(function, INTS[0, 0])


def test_matrix_statistics() -> None:
    check(torch.trace, X[0])
    check(torch.trace, INTS[0].int())
    check(torch.cov, X[0])
    check(torch.cov, X[0], correction=0)
    check(torch.cov, X[0], fweights=tensor([1, 2, 1, 1, 3, 1]))
    check(torch.corrcoef, X[0])
    check(T.sum_to_size, X, (5, 1))
    check(T.sum_to_size, X, (4, 1, 6))
    check(T.sum_to_size, B, (4, 5, 6))
    check(T.sum_to_size, X, ())
