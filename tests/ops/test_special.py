"""Special functions against torch in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from luxgen.ops.bessel import bessel_j0, bessel_j1, bessel_y0, bessel_y1
from luxgen.ops.erf import erf
from luxgen.ops.special import ndtr
from luxgen.targets.numpy.helpers import helper_function
from tests.ops.opcheck import check

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
S = torch.special
INF, NAN = float("inf"), float("nan")
real = torch.cat([torch.linspace(-9, 9, 1009), torch.tensor([0.0, 1e-9, 40, -40])])
positive = torch.cat([torch.linspace(0.01, 12, 997), torch.tensor([1e-6, 80, 3e4])])
unit = torch.cat([torch.linspace(0, 1, 501), torch.tensor([1e-7, 1e-20, 1 - 1e-6])])
CASES: list[tuple[Callable[..., Any], torch.Tensor]] = [
    (torch.erf, real),
    (S.erf, real),
    (torch.erfc, real),
    (S.erfcx, real[real > -9]),
    (S.log_ndtr, real),
    (torch.erfinv, 2 * unit - 1),
    (S.ndtri, unit),
    (torch.logit, unit),
    (S.entr, real),
    (torch.lgamma, real),
    (S.gammaln, positive),
    (torch.digamma, positive),
    (S.psi, positive),
    (torch.i0, real),
    (S.i0e, real),
    (S.i1, real),
    (S.i1e, real),
]


@pytest.mark.parametrize(("function", "x"), CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values(
    function: Callable[..., Any], x: torch.Tensor, dtype: torch.dtype
) -> None:
    """Over the whole range, and in parts at whose scale small results show."""
    x = x.to(dtype)
    check(function, x)
    for low, high in ((-9, -3), (-0.5, 0.5), (3, 9)):
        check(function, x[(x > low) & (x < high)])


@pytest.mark.parametrize(("function", "x"), CASES)
def test_shapes_and_integers(function: Callable[..., Any], x: torch.Tensor) -> None:
    check(function, x[300])
    check(function, x[:0])
    check(function, x[:12].reshape(3, 4).T)
    check(function, torch.tensor([0, 1, 5]))


@pytest.mark.parametrize("function", [torch.erf, torch.erfc, torch.i0, S.log_ndtr])
def test_nan_and_infinity(function: Callable[..., Any]) -> None:
    check(function, torch.tensor([NAN, INF, -INF]))


def test_edges() -> None:
    check(torch.erfinv, torch.tensor([-1.0, 1.0, 1.5, -2.0, NAN, 0.0]))
    check(S.ndtri, torch.tensor([0.0, 1.0, 1.5, -2.0, NAN, 0.5]))
    check(torch.logit, torch.tensor([0.0, 1.0, 1.5, -2.0, NAN]))
    check(torch.lgamma, torch.tensor([0.0, -1.0, -2.0, INF, -INF, NAN, 2.5]))
    check(torch.digamma, torch.tensor([0.0, -0.0, -1.0, -2.0, INF, NAN]))
    check(S.entr, torch.tensor([0.0, -1.0, INF, -INF, NAN]))


def test_reflected_halves() -> None:
    check(torch.digamma, torch.linspace(-7.9, -0.1, 400).double()[::7] + 0.013)
    check(torch.lgamma, torch.linspace(-7.9, -0.1, 400).double() + 0.013)
    check(torch.polygamma, 1, torch.linspace(-7.9, -0.1, 400)[::7] + 0.013)


def test_ndtr_is_relatively_accurate_in_its_tail() -> None:
    """torch's own is not: it computes (1 + erf) / 2 up to -1."""
    check(S.ndtr, real)
    x = np.linspace(-20, 20, 999)
    exact = 0.5 * torch.erfc(torch.from_numpy(-x * 0.5**0.5)).numpy()
    np.testing.assert_allclose(ndtr(x), exact, rtol=1e-13)


def test_erf_is_relatively_accurate_at_zero_and_saturates() -> None:
    x = np.array([1e-30, 1e-8, -1e-3, 5.0, -1e30, np.inf], np.float32)
    exact = torch.from_numpy(x).double().erf().numpy()
    np.testing.assert_allclose(erf(x), exact, rtol=5e-7)
    assert erf(x)[3:].tolist() == [1, -1, 1]


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_polygamma(n: int) -> None:
    check(torch.polygamma, n, positive[positive > 0.2])
    check(torch.special.polygamma, n, torch.tensor(1.5))


def test_logit_clips() -> None:
    check(torch.logit, unit, 0.1)
    check(S.logit, unit, eps=1e-6)


def test_xlogy() -> None:
    x = torch.tensor([0.0, 0.0, 0.0, 2.0, NAN, -1.0])
    other = torch.tensor([0.0, NAN, INF, 3.0, 1.0, 0.0])
    check(torch.xlogy, x, other)
    check(torch.xlogy, x, 2.5)
    check(torch.xlogy, 0.0, other)
    check(torch.xlogy, torch.tensor([0, 2]), torch.tensor([3, 4]))
    check(torch.xlogy, x[:, None], other)


HELPERS: list[tuple[str, Callable[..., Any]]] = [
    ("zeta", S.zeta),
    ("xlog1py", S.xlog1py),
    ("gammainc", S.gammainc),
    ("gammaincc", S.gammaincc),
]


@pytest.mark.parametrize(("name", "function"), HELPERS)
def test_helpers_of_two_arguments(name: str, function: Callable[..., Any]) -> None:
    x, q = np.linspace(1.1, 30, 60), np.linspace(0.3, 25, 40)[:, None]
    exact = function(torch.from_numpy(x), torch.from_numpy(q)).numpy()
    ours = helper_function(name)(x, q)
    tolerance = 1e-8 if "gamma" in name else 1e-12  # torch's own error
    np.testing.assert_allclose(ours, exact, rtol=tolerance, atol=1e-15)
    assert helper_function(name)(x.astype("f"), q.astype("f")).dtype == np.float32


@pytest.mark.parametrize("function", [torch.igamma, torch.igammac])
def test_incomplete_gamma_at_its_edges(function: Callable[..., Any]) -> None:
    x = torch.tensor([0.0, 0.5, 3.0, 200.0, INF, -1.0])
    check(function, x[:, None], x)


POLYNOMIALS = [
    "chebyshev_polynomial_t", "chebyshev_polynomial_u", "chebyshev_polynomial_v",
    "chebyshev_polynomial_w", "hermite_polynomial_h", "hermite_polynomial_he",
    "laguerre_polynomial_l", "legendre_polynomial_p",
]  # fmt: skip


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_orthogonal_polynomials(name: str) -> None:
    x = np.array([-2.5, -1, -0.3, 0, 0.7, 1, 3])[:, None]
    n = np.array([-1.0, 0, 1, 2, 3, 7, 12])
    exact = getattr(S, name)(torch.from_numpy(x), torch.from_numpy(n)).numpy()
    np.testing.assert_allclose(
        helper_function(name)(x, n), exact, rtol=1e-11, atol=1e-15
    )


def test_bessel_functions_of_both_kinds_obey_their_wronskian() -> None:
    """torch's own J are wrong by 4e-7 about 6; J1 Y0 - J0 Y1 is 2 / (pi x)."""
    x = np.linspace(0.01, 80, 4001)
    value = bessel_j1(x) * bessel_y0(x) - bessel_j0(x) * bessel_y1(x)
    np.testing.assert_allclose(value, 2 / (np.pi * x), rtol=1e-12)


BESSEL = ["bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "spherical_bessel_j0"]
BESSEL += ["modified_bessel_k0", "modified_bessel_k1", "scaled_modified_bessel_k0"]
BESSEL += ["scaled_modified_bessel_k1", "modified_bessel_i0", "modified_bessel_i1"]


@pytest.mark.parametrize("name", BESSEL)
def test_bessel_functions(name: str) -> None:
    x = torch.cat([torch.linspace(-40, 40, 801), torch.tensor([1e-8, 1e-3, 150, NAN])])
    check(getattr(S, name), x)


def test_mvlgamma() -> None:
    check(torch.mvlgamma, positive[positive > 2], 4)
