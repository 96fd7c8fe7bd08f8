"""VJP rows of reductions against torch.autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.ops.gradcheck import check_vjp, of, t

T = torch.Tensor
NAN, INF = float("nan"), float("inf")


DIMS: list[dict[str, Any]] = [
    {"dim": 0}, {"dim": -1}, {"dim": 1, "keepdim": True},
]  # fmt: skip
SEVERAL: list[dict[str, Any]] = [
    {}, *DIMS, {"dim": (0, 2)}, {"dim": (-1, 0), "keepdim": True}, {"dim": (0, 1, 2)},
]  # fmt: skip
ZEROS = torch.tensor(
    [[0.0, 1, 2, 3], [0, 0, 1, 2], [1, 2, -0.5, 4], [2, 0, 3, 0]], requires_grad=True
)
TIES = torch.tensor(
    [[3.0, 3, 1], [2, 2, 2], [-INF, INF, INF], [0, 1, 0]], requires_grad=True
)
HOLES = torch.tensor([[NAN, 1, 2, 3], [4, NAN, NAN, 1], [5, 6, 7, 8]]).requires_grad_()


@pytest.mark.parametrize("options", SEVERAL)
@pytest.mark.parametrize(
    "name", ["sum", "mean", "nansum", "nanmean", "amax", "amin", "var", "std"]
)
def test_over_dims(name: str, options: dict[str, Any]) -> None:
    check_vjp(getattr(torch, name), t(3, 4, 2), **options)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std"])
def test_complex(name: str) -> None:
    check_vjp(getattr(torch, name), t(3, 4, dtype=torch.complex64))
    check_vjp(getattr(torch, name), t(3, 4, dtype=torch.complex64), dim=1)


@pytest.mark.parametrize("options", DIMS)
@pytest.mark.parametrize(
    "name",
    ["max", "min", "median", "nanmedian", "mode", "prod", "logsumexp", "aminmax"],
)
def test_over_one_dim(name: str, options: dict[str, Any]) -> None:
    check_vjp(getattr(torch, name), t(3, 4, 2), **options)


@pytest.mark.parametrize(
    "name", ["max", "min", "median", "nanmedian", "prod", "aminmax", "mode"]
)
def test_over_everything(name: str) -> None:
    check_vjp(getattr(torch, name), t(3, 4, 2))
    check_vjp(getattr(torch, name), t())


@pytest.mark.parametrize("options", SEVERAL[:4])
@pytest.mark.parametrize("correction", [0, 1, 2])
@pytest.mark.parametrize("name", ["var", "std", "var_mean", "std_mean"])
def test_corrections(name: str, correction: int, options: dict[str, Any]) -> None:
    check_vjp(getattr(torch, name), t(4, 5, 3), correction=correction, **options)


def test_unbiased() -> None:
    check_vjp(torch.var, t(4, 5), 1, unbiased=False)
    check_vjp(torch.std, t(4, 5), unbiased=False)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_deviation_of_equal_numbers() -> None:
    check_vjp(torch.std, of([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]), 1)


@pytest.mark.parametrize("name", ["amax", "amin", "max", "min", "median", "nanmedian"])
def test_ties(name: str) -> None:
    func = getattr(torch, name)
    check_vjp(func, TIES, 1)
    check_vjp(func, TIES, 0)
    check_vjp(func, of([3.0, 3.0, 1.0], [1.0, 2.0, 3.0]))


def test_kthvalue() -> None:
    check_vjp(torch.kthvalue, t(3, 4), 2)
    check_vjp(torch.kthvalue, t(3, 4), 1, 0, True)
    check_vjp(torch.kthvalue, t(), 1)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_products_of_zeros() -> None:
    check_vjp(torch.prod, ZEROS)
    check_vjp(torch.prod, ZEROS, 0)
    check_vjp(torch.prod, ZEROS, 1, True)
    check_vjp(torch.prod, of(2.0, 0.0, 3.0))
    check_vjp(torch.prod, t(3, 2, dtype=torch.complex64), 0)


@pytest.mark.parametrize("name", ["nansum", "nanmean", "nanmedian", "nanquantile"])
def test_without_nan(name: str) -> None:
    more = (0.4,) if name == "nanquantile" else ()
    check_vjp(getattr(torch, name), HOLES, *more)
    check_vjp(getattr(torch, name), HOLES, *more, dim=1)
    check_vjp(getattr(torch, name), HOLES, *more, dim=0, keepdim=True)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "nansum"])
def test_dtypes(name: str) -> None:
    check_vjp(getattr(torch, name), t(3, 4), dtype=torch.float64)
    check_vjp(getattr(torch, name), t(3, 4), dim=1, dtype=torch.float64)


@pytest.mark.parametrize("name", ["sum", "prod", "nansum"])
def test_nothing_to_reduce(name: str) -> None:
    check_vjp(getattr(torch, name), t(0, 3))
    check_vjp(getattr(torch, name), t(0, 3), dim=0)
    check_vjp(getattr(torch, name), t(0, 3), dim=1)


def test_logsumexp() -> None:
    check_vjp(torch.logsumexp, t(3, 4, 2), (0, 2))
    check_vjp(torch.logsumexp, t(3, 4, 2), (0, -1), keepdim=True)
    check_vjp(torch.logsumexp, of([500.0, 501.0, -INF], [-800.0, -801.0, 0.0]), 1)
    check_vjp(torch.logsumexp, t(), 0)


METHODS = ("linear", "lower", "higher", "nearest", "midpoint")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("func", [torch.quantile, torch.nanquantile])
def test_quantiles(func: Callable[..., Any], method: str) -> None:
    q = torch.tensor([0.15, 0.5, 0.9, 1.0])
    x = HOLES if func is torch.nanquantile else t(3, 4)
    check_vjp(func, t(3, 5), 0.3, interpolation=method)
    check_vjp(func, t(3, 5, 2), 0.3, 1, interpolation=method)
    check_vjp(func, x, q, 1, True, interpolation=method)
    check_vjp(func, x, q, 0, interpolation=method)
    check_vjp(func, x, q, interpolation=method)
    check_vjp(func, t(), 0.3, interpolation=method)


def test_quantiles_by_their_level() -> None:
    check_vjp(torch.quantile, t(3, 5), of(0.31, 0.82), 1)
    check_vjp(torch.quantile, t(3, 5), torch.tensor(0.3, requires_grad=True))
    check_vjp(torch.nanquantile, HOLES, of(0.31, 0.82), 1, True)
    check_vjp(torch.quantile, t(3, 5), of(0.31), 1, interpolation="nearest")


def test_sums_to_a_shape() -> None:
    check_vjp(T.sum_to_size, t(2, 3, 4), 3, 1)
    check_vjp(T.sum_to_size, t(2, 3), 2, 3)
    check_vjp(torch.trace, t(3, 3))
    check_vjp(torch.trace, t(2, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_covariance(dtype: torch.dtype) -> None:
    x = t(3, 6, dtype=dtype)
    counts, weights = torch.randint(1, 5, (6,)), torch.rand(6, requires_grad=True)
    check_vjp(torch.cov, x)
    check_vjp(torch.cov, t(6, dtype=dtype))
    check_vjp(torch.cov, x, correction=0)
    check_vjp(torch.cov, x, fweights=counts)
    check_vjp(torch.cov, x, aweights=weights)
    check_vjp(torch.cov, x, correction=0, fweights=counts, aweights=weights)
    check_vjp(torch.corrcoef, x)
    check_vjp(torch.corrcoef, t(6))


def test_text() -> None:
    x = t(3, 4)
    texts: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
        (torch.sum, (x, 1), "np.broadcast_to(v0, v1.shape)"),
        (torch.mean, (x, (0, 1), True), "v0 / (v1.shape[0] * v2.shape[1])"),
        (torch.amax, (x,), "v0 / v1"),
        (torch.max, (x, 1), "scatter(v0, 1, v1, v2)"),
        (torch.prod, (x, 1), "prod_backward(v0, v1, 1)"),
        (torch.logsumexp, (x, 1), "np.exp(v0)"),
    ]
    for func, args, line in texts:
        assert line in check_vjp(func, *args).split("\n")
