"""Gradients of reductions, scans and special functions in whole modules."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.semantics.gradients import agree


class Reductions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(6) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(x) * self.weight
        spread, level = torch.std_mean(h, dim=1, keepdim=True)
        low, high = h.aminmax(dim=1)
        h = (h - level) / (spread + 0.1)
        total = h.prod() + h.nansum() + h.norm() + h.var() + h.max() + h.median()
        rows = h.prod(1) + h.logsumexp(1) + h.amax(1) + h.max(1).values + low * high
        rows = rows + torch.linalg.vector_norm(h, 3, dim=1) + h.mode(1).values
        rows = rows + h.kthvalue(2, 1).values + h.norm(float("inf"), dim=1)
        return rows + total + h.mean((0, 1))


class Quantiles(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        several = x.quantile(torch.tensor([0.2, 0.7]), dim=1, interpolation="midpoint")
        few = x.nanquantile(0.3, dim=1, keepdim=True).squeeze(1)
        return several.sum(0) * few + x.quantile(0.4)


class Statistics(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.rand(6))

    def forward(self, x: Tensor) -> Tensor:
        plain = torch.cov(x.T, correction=0)
        weighted = torch.cov(x.T @ x, aweights=self.weights)
        return plain + weighted + torch.corrcoef(x.T) + torch.trace(plain)


class Scans(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.arange(6.0) ** 1.5)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.sin(x)
        y = h.cumsum(1) + h.cumprod(-1) + h.logcumsumexp(1) + h.cummax(1).values
        y = y + h.cummin(0).values + torch.trapezoid(h, self.at)[:, None]
        y = y[:, 1:] + torch.cumulative_trapezoid(h, self.at, dim=1)
        return y + torch.trapezoid(h, dx=0.5, dim=0)[1:]


class Special(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shape = nn.Parameter(torch.rand(6) + 2)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.erf(x) + torch.special.log_ndtr(x) + torch.special.i1e(x)
        y = y + torch.xlogy(x, self.shape) + torch.special.xlog1py(x, self.shape)
        y = y + torch.lgamma(self.shape) * torch.polygamma(1, self.shape)
        y = y + torch.mvlgamma(self.shape, 2) + torch.logit(torch.sigmoid(x), 0.1)
        return y + torch.special.zeta(torch.tensor(2.5), self.shape)


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.turn = nn.Parameter(torch.randn(6, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        z = torch.complex(x, x.flip(1)) * self.turn + torch.polar(x.abs() + 1, x)
        z = z / (z.sgn() + 2) + torch.view_as_complex(torch.view_as_real(z).tanh())
        return z.abs() + z.angle() + z.real * z.conj().imag


class Masks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fill = nn.Parameter(torch.randn(()))
        self.source = nn.Parameter(torch.randn(24))

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.tensor([True, False, True, True, False, False])
        y = torch.where(x > 0, x**2, x.exp()).clamp(-0.5, 1.5)
        y = y.masked_fill(mask, self.fill) + torch.maximum(x, self.fill)
        y = y + x.masked_scatter(mask, self.source[: x.shape[0] * 3])
        return y + x.masked_select(mask.expand_as(x)).sum()


@pytest.mark.parametrize(
    "model", [Reductions, Quantiles, Statistics, Scans, Special, Complex, Masks]
)
def test_module(model: type[nn.Module]) -> None:
    torch.manual_seed(0)
    agree(model(), torch.randn(5, 6))
