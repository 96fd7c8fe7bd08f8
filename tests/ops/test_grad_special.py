"""VJP rows of torch.special against torch.autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from luxgen.targets.numpy.rules.op import Refused
from tests.ops.gradcheck import check_vjp, of

T = torch.Tensor
NAMES = (
    "erf", "erfc", "erfcx", "ndtr", "log_ndtr", "i0", "i0e", "i1", "i1e", "expit",
    "gammaln", "digamma", "psi",
)  # fmt: skip
INSIDE = ("erfinv", "ndtri", "logit", "entr")


def between(low: float, high: float, *shape: int) -> T:
    return (low + (high - low) * torch.rand(shape)).requires_grad_()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_of_one(name: str) -> None:
    func = getattr(torch.special, name)
    check_vjp(func, between(-3.3, 3.3, 4, 5))
    check_vjp(func, between(0.5, 9, 3))
    check_vjp(func, between(0.5, 0.9))
    if name not in ("gammaln", "digamma", "psi"):
        check_vjp(func, of(0.0, -0.5, 7.0))


@pytest.mark.parametrize("name", INSIDE)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_of_one_in_its_domain(name: str) -> None:
    check_vjp(getattr(torch.special, name), between(0.02, 0.98, 4, 5))
    check_vjp(getattr(torch.special, name), between(0.2, 0.3))


def test_logit_clipped() -> None:
    check_vjp(torch.logit, of(0.05, 0.1, 0.5, 0.9, 0.99, 2.0, -1.0), 0.1)
    check_vjp(torch.special.logit, between(-0.5, 1.5, 9), eps=0.2)


@pytest.mark.parametrize("func", [torch.xlogy, torch.special.xlog1py])
def test_logarithms_of_two(func: Any) -> None:
    check_vjp(func, between(-1, 1, 3, 1), between(0.1, 3, 4))
    check_vjp(func, between(-1, 1, 3), 2.5)
    check_vjp(func, 2, between(0.1, 3, 4))
    check_vjp(func, of(0.0, 0.0, 2.0), of(0.5, 3.0, 1.0))
    check_vjp(func, of(0.0, 1.0), 0)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_logarithms_at_zero() -> None:
    check_vjp(torch.xlogy, of(0.0, 0.0, 1.0), of(0.0, -1.0, 0.0))
    check_vjp(torch.special.xlog1py, of(0.0, 0.0, 1.0), of(-1.0, -2.0, -1.0))


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_polygamma(n: int) -> None:
    check_vjp(torch.polygamma, n, between(0.5, 5, 6))


@pytest.mark.parametrize("p", [1, 2, 5])
def test_multivariate_gamma(p: int) -> None:
    check_vjp(torch.mvlgamma, between(3, 9, 6), p)
    check_vjp(torch.special.multigammaln, between(3, 9, 2, 3), p)


def test_incomplete_gamma_by_the_point() -> None:
    for func in (torch.igamma, torch.igammac):
        check_vjp(func, torch.rand(3, 1) + 0.5, between(0.1, 5, 4))
    check_vjp(torch.special.gammainc, torch.rand(3) + 0.5, between(0.1, 5, 3))
    check_vjp(torch.special.zeta, torch.rand(3, 1) + 2, between(0.5, 5, 4))


@pytest.mark.parametrize("func", [torch.igamma, torch.igammac, torch.special.zeta])
def test_unknown_derivatives_are_refused(func: Any) -> None:
    with pytest.raises(Refused, match="no known derivative by 'input'"):
        check_vjp(func, between(2, 3, 3), between(0.1, 5, 3))


def test_text() -> None:
    x = between(0.2, 0.8, 3)
    assert check_vjp(torch.lgamma, x) == "lgamma(v0)\ndigamma(v0)\nv0 * v1"
    assert check_vjp(torch.digamma, x).split("\n")[1] == "polygamma(1, v0)"
