"""Numbers end to end: dtypes, in-place writes and views, indices, ties, NaN, sizes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import luxgen
from tests.semantics.agree import agree, refused

Tensor = torch.Tensor


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class Of(nn.Module):
    """A model that is one function, with a table beside it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.table = nn.Parameter(torch.randn(4, 4))

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


# -- in place ---------------------------------------------------------------------


def add_in_place(m: Of, x: Tensor) -> Tensor:
    y = x * 2
    z = y
    y += 1
    z.mul_(3)
    return y + z


def input_in_place(m: Of, x: Tensor) -> Tensor:
    x += 1
    x[:, 0] = 0
    return x * 2


def relu_in_place(m: Of, x: Tensor) -> tuple[Tensor, Tensor]:
    y = x - 0.5
    z = F.relu(y, inplace=True)
    return y, z


def relu_module_in_place(m: Of, x: Tensor) -> Tensor:
    y = x - 0.5
    return nn.ReLU(inplace=True)(y) + y


def column(m: Of, x: Tensor) -> Tensor:
    y = x.clone()
    y[:, 0] = y[:, 1] * 2
    y[0] += 1
    y[-1, 1:3] = 5
    y[:, ::2] *= -1
    return y


def mask_write(m: Of, x: Tensor) -> Tensor:
    y = x.clone()
    y[x > 0] = -1.0
    y[x < -1] = y[x < -1] * 2
    return y


def through_slice(m: Of, x: Tensor) -> Tensor:
    y = x.clone()
    left = y[:, :2]
    left.mul_(10)
    first = left[0]
    first.add_(1)
    y.sub_(0.5)
    return y + left.sum() + first.sum()


def through_transpose(m: Of, x: Tensor) -> Tensor:
    y = x.clone()
    t = y.t()
    t[0] = 7
    t.transpose(0, 1)[:, 1].fill_(3)
    return y @ t


def through_reshape(m: Of, x: Tensor) -> Tensor:
    y = x.clone()
    y.view(-1)[1] = 9
    y.reshape(-1, 2, 2)[:, 0, 1] += 4
    y.unsqueeze(1)[:, 0, 2] = 2
    y.permute(1, 0)[3] *= 2
    return y


def through_chunks(m: Of, x: Tensor) -> Tensor:
    y = x.clone()
    a, b = y.chunk(2, dim=1)
    a += b
    c, d, e = y.split([1, 1, 2], dim=-1)
    d.zero_()
    e.copy_(c)
    f, *_ = y.unbind(1)
    f.neg_()
    return y


def through_expand(m: Of, x: Tensor) -> Tensor:
    y = torch.zeros(4).expand(x.shape[0], 4).clone()
    y[1] = x[0]
    return y


def through_detach(m: Of, x: Tensor) -> Tensor:
    y = x * 1
    y.detach().add_(1)
    y.data[:, 1] = 0
    return y


def view_of_a_view(m: Of, x: Tensor) -> Tensor:
    y = x.clone()
    y[1:][:, 1:][0, 0] = 11
    z = y[1:].t()
    y[1, 1] = 12
    return z + z.sum()


def clone_is_no_view(m: Of, x: Tensor) -> Tensor:
    y = x * 1
    z = y[:, :2].clone()
    w = y[:, [0, 1]]
    z += 1
    w += 1
    return y


def write_by_index(m: Of, x: Tensor) -> Tensor:
    y = x.clone()
    rows = torch.arange(x.shape[0])
    y[rows, rows % 4] = 0
    y[torch.tensor([0, 0, 1])] = torch.tensor([[1.0], [2.0], [3.0]])
    return y.index_put((torch.tensor([0, 0]),), torch.ones(2, 4), accumulate=True)


def scatters(m: Of, x: Tensor) -> Tensor:
    index = torch.tensor([[0, 1, 1, 3]]).expand(x.shape[0], 4)
    y = torch.zeros_like(x).scatter_add_(1, index, x)
    z = torch.zeros_like(x).scatter_(1, index, 2.0)
    w = x.clone().index_add_(1, torch.tensor([0, 0]), x[:, :2])
    return y + z + w + x.scatter_reduce(1, index, x, "amax")


def fills(m: Of, x: Tensor) -> Tensor:
    y = x.masked_fill(x > 0, math.inf).clamp_(max=1.0)
    y.masked_fill_(torch.eye(4, dtype=torch.bool)[0], -1)
    y.fill_diagonal_(2.0)
    return y.triu_(-1)


def out_argument(m: Of, x: Tensor) -> Tensor:
    y = torch.empty_like(x)
    torch.add(x, 1, out=y)
    return y


def accumulate(m: Of, x: Tensor) -> Tensor:
    total = torch.zeros(x.shape[0])
    for k in range(x.shape[1]):
        total += x[:, k] * k
    return total


def write_in_loop(m: Of, x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    for k in range(4):
        y[:, k] = x[:, 3 - k] + (y[:, k - 1] if k else 0)
    return y


def swap(m: Of, x: Tensor) -> Tensor:
    y = x.clone()
    y[:, [0, 1]] = y[:, [1, 0]]
    a, b = y[:, 2], y[:, 3].clone()
    a, b = b, a
    return y + a.unsqueeze(1) - b.unsqueeze(1)


def parameter_view(m: Of, x: Tensor) -> Tensor:
    w = m.table.t().clone()
    w[0] = 0
    return x @ w + m.table[0]


IN_PLACE = [
    add_in_place, input_in_place, relu_in_place, relu_module_in_place, column, mask_write,
    through_slice, through_transpose, through_reshape, through_chunks, through_expand,
    through_detach, view_of_a_view, clone_is_no_view, write_by_index, scatters, fills,
    out_argument, accumulate, write_in_loop, swap, parameter_view,
]  # fmt: skip


@pytest.mark.parametrize("function", IN_PLACE)
def test_in_place(function: Callable[..., Any]) -> None:
    agree(Of(function), torch.randn(3, 4), modes=("eval",))


def test_write_through_an_unknown_view_is_refused() -> None:
    """Wrong in silence would be worse."""

    def diagonal(m: Of, x: Tensor) -> Tensor:
        y = x.clone()
        torch.as_strided(y, (2,), (5,)).add_(1)
        return y

    assert "as_strided" in refused(Of(diagonal), torch.randn(3, 4))[0].reason


def through_diagonal(m: Of, x: Tensor) -> Tensor:
    y = x.t() @ x
    y.diagonal().add_(1)
    y.diagonal(1)[0] = 5
    return y


def through_pieces(m: Of, x: Tensor) -> Tensor:
    y = x.clone()
    a, b, c = y.tensor_split(3, dim=1)
    b += 1
    c *= b
    a[0] = b[0] * c[0]
    y.narrow(1, -2, 2).neg_()
    y.movedim(0, 1)[2] = 4
    y.view_as(y.reshape(x.shape[0], 4))[:, 3] = 2
    return y


@pytest.mark.parametrize("function", [through_diagonal, through_pieces])
def test_odd_views(function: Callable[..., Any]) -> None:
    agree(Of(function), torch.randn(3, 4), modes=("eval",))


# -- dtypes -----------------------------------------------------------------------


def scalars(m: Of, x: Tensor) -> tuple[Tensor, ...]:
    return (x * 0.1, x / 3, x**0.5, x + math.pi, 1 / x, 2**x, x // 0.3, x % 0.7,
            x * np.pi, -x, x - 1, 5 - x, x / x.shape[0], x * x.shape[-1] ** -0.5)  # fmt: skip


def integers(m: Of, x: Tensor) -> tuple[Tensor, ...]:
    n = (x * 5).long()
    return (n * 2, n / 2, n // 3, n % 3, n * 0.5, n + x, n.float().mean(), n.sum(),
            torch.div(n, 3, rounding_mode="trunc"), torch.div(n, 3, rounding_mode="floor"),
            n.remainder(-3), n.fmod(-3), n.int() // 2, n.int() * n, n > 0, ~(n > 0),
            n.bool().sum(), n.abs().float().sqrt(), n.cumsum(0), n.prod(0), n.clamp(-1, 1),
            n.to(torch.uint8), n.int() + 3_000_000_000)  # fmt: skip


def booleans(m: Of, x: Tensor) -> tuple[Tensor, ...]:
    b = x > 0
    return (b.sum(), b.float(), b * 2, b * x, b & (x > 1), b | (x < -1), b ^ b, ~b,
            b.any(1), b.all(), b.float().mean(), b.long() + 1, torch.where(b, x, 0.0),
            torch.where(b, 1, 0), b.to(x.dtype) @ m.table, (b == False).sum())  # noqa: E712  # fmt: skip


def reductions(m: Of, x: Tensor) -> tuple[Tensor, ...]:
    return (x.std(), x.var(1), x.std(0, unbiased=False), x.var(dim=(0, 1), keepdim=True),
            x.mean(), x.sum(), x.norm(), x.norm(dim=1), x.prod(1), x.logsumexp(1),
            torch.std_mean(x, 1)[0], x.amax(1), x.max(), x.median(), x.quantile(0.3),
            x.cumsum(1), x.mean((0, 1)), x.var(1, correction=0), x.sum(dtype=torch.float64))  # fmt: skip


def roundings(m: Of, x: Tensor) -> tuple[Tensor, ...]:
    y = (x * 4).round() / 2
    return (y.round(), y.floor(), y.ceil(), y.trunc(), y.frac(), y.sign(), y.fmod(1.5),
            y.remainder(-1.5), y // 1.5, torch.round(x, decimals=1))  # fmt: skip


def constants(m: Of, x: Tensor) -> tuple[Tensor, ...]:
    n = x.shape[0]
    return (x + torch.tensor(0.1), torch.tensor([1, 2, 3, 4]) * x, torch.arange(4) * 0.5,
            torch.arange(n, dtype=x.dtype), torch.linspace(0, 1, 4) * x, torch.eye(4)[1] + x,
            torch.zeros(n, 4, dtype=torch.float64), torch.full((n,), 2.5), x.new_ones(n, 2),
            torch.full((n, 1), 3), torch.ones(4) * 2, torch.tensor(math.inf) + x,
            torch.finfo(x.dtype).min + x, torch.arange(0, 1, 0.25), torch.ones(n).cumsum(0))  # fmt: skip


def doubles(m: Of, x: Tensor) -> tuple[Tensor, ...]:
    return x.double() * 2, (x.double() @ m.table.double()).float(), x + x.double().sum()


def halves(m: Of, x: Tensor) -> Tensor:
    return x.half().float() * 2


@pytest.mark.parametrize(
    "function",
    [scalars, integers, booleans, reductions, roundings, constants, doubles, halves],
)
def test_dtypes(function: Callable[..., Any]) -> None:
    agree(Of(function), torch.randn(3, 4).abs() + 0.1, modes=("eval",))


def test_negative_operands() -> None:
    def divisions(m: Of, x: Tensor) -> tuple[Tensor, ...]:
        n = (x * 10).int()
        return n // 3, n % 3, n // -3, n % -3, x // 0.7, x % -0.7, torch.fmod(x, 0.7)

    agree(Of(divisions), torch.randn(3, 4), modes=("eval",))


def test_integer_overflow_wraps() -> None:
    def wraps(m: Of, n: Tensor) -> tuple[Tensor, ...]:
        return n * 1_000_000, n.to(torch.int8) + 100, -n.to(torch.uint8), n.sum()

    agree(Of(wraps), torch.full((3, 4), 5000, dtype=torch.int32), modes=("eval",))


def test_integer_mean_raises_in_torch() -> None:
    def mean(m: Of, n: Tensor) -> Tensor:
        return n.mean()

    with pytest.raises(Exception, match="mean"):
        luxgen.transpile(Of(mean), (torch.arange(12).reshape(3, 4),))


# -- order and NaN ----------------------------------------------------------------


def ties(m: Of, x: Tensor) -> tuple[Tensor, ...]:
    y = x.round()
    return (y.argmax(1), y.argmin(1), y.argmax(), *y.max(1), *y.min(1), y.median(1)[0],
            *y.sort(dim=1, stable=True), y.topk(2, 1)[0], torch.kthvalue(y, 2, 1)[0],
            *x.topk(2, 1), *x.kthvalue(2, 1), *x.median(1), torch.bincount((y + 5).long().flatten(), minlength=12),
            *torch.cummax(y, 1), y.argsort(dim=1, stable=True, descending=True))  # fmt: skip


def not_a_number(m: Of, x: Tensor) -> tuple[Tensor, ...]:
    y = torch.where(x > 0.5, math.nan, x)
    return (y.max(1)[0], y.min(), y.amax(0), y.sort(1)[0], y.clamp(-1, 1), y.sign(),
            y.relu(), y.isnan(), torch.maximum(y, x), torch.fmax(y, x), y.nan_to_num(),
            torch.nansum(y), y.argmax(1), torch.nanmean(y, 1), y > 0, y == y, y.softmax(1),
            y.round(), torch.median(y), y.nanmedian(), F.hardtanh(y), F.relu6(y))  # fmt: skip


@pytest.mark.parametrize("function", [ties, not_a_number])
def test_order(function: Callable[..., Any]) -> None:
    agree(Of(function), torch.randn(3, 8) * 2, modes=("eval",))


def test_as_many_results_as_the_data_say() -> None:
    def masked(m: Of, x: Tensor) -> tuple[Tensor, ...]:
        return (
            x[x > 0],
            x.masked_select(x < 0),
            x.nonzero(),
            torch.unique((x * 2).round()),
        )

    agree(Of(masked), torch.randn(3, 4), modes=("eval",))


# -- indexing and shapes ----------------------------------------------------------


def indices(m: Of, x: Tensor) -> tuple[Tensor, ...]:
    y = x.reshape(-1, 2, 2, 1)
    rows = torch.tensor([1, 0])
    return (y[..., None], y[:, rows], y[rows][:, 0], y[0, :, rows], y[:, None, 0], y[-1],
            y[:, [1, 0], [0, 1]], y[rows, ..., 0], x[:, x[0] > 0], x[[0, -1]], x[1:, ::2],
            x.flip(1), x[:, -2:], x[..., 0], x.take(rows), x.gather(1, x.argsort(1)),
            torch.take_along_dim(x, x.argsort(1), 1), x.index_select(1, rows), x[x.sum(1) > 0])  # fmt: skip


def shapes(m: Of, x: Tensor) -> tuple[Tensor, ...]:
    n = x.shape[0]
    t = x.t()
    return (t.reshape(n, 2, 2), t.contiguous().view(-1), x.unflatten(1, (2, 2)), x.flatten(),
            x.unsqueeze(-1).squeeze(-1), x.expand(2, n, 4), x[:, :1].expand(-1, 3), x.repeat(2, 1),
            x.tile(2), x.roll(1, 0), torch.stack([x, -x], -1).flatten(1), x.movedim(0, -1),
            torch.cat([x, x[:0]]), x.swapaxes(0, 1), x.repeat_interleave(2, 1), x.T,
            torch.broadcast_to(x[:, :1], (n, 4)), x.narrow(1, 1, 2), *torch.meshgrid(x[0], x[1], indexing="ij"))  # fmt: skip


def zero_sizes(m: Of, x: Tensor) -> tuple[Tensor, ...]:
    empty = x[:, :0]
    return (empty, empty.sum(1), empty @ torch.zeros(0, 3), torch.cat([empty, x], 1),
            x[:0].sum(0), empty.prod(1), x.new_zeros(0).sum(), empty.any(1),
            empty.all(1), F.pad(empty, (1, 1)), empty.softmax(1), F.linear(x[:0], m.table))  # fmt: skip


def zero_dims(m: Of, x: Tensor) -> tuple[Tensor, ...]:
    s = x.sum()
    return (s, s + 1, s * x, s.unsqueeze(0), s.reshape(1, 1), s.exp(), torch.stack([s, s]),
            s.expand(3), s > 0, s.long(), x[0, 0], x[0, 0] * 2.0, s.max(), s.softmax(0))  # fmt: skip


def broadcasts(m: Of, x: Tensor) -> tuple[Tensor, ...]:
    row, one = x[:1], x[:, :1]
    return (
        x + row,
        x * one,
        row - one,
        torch.where(one > 0, row, x),
        one @ row,
        x[:, :, None] + row,
    )


@pytest.mark.parametrize(
    "function", [indices, shapes, zero_sizes, zero_dims, broadcasts]
)
def test_shapes(function: Callable[..., Any]) -> None:
    agree(Of(function), torch.randn(3, 4), modes=("eval",))


@pytest.mark.parametrize("batch", [0, 1])
def test_batch_of_none_and_of_one(batch: int) -> None:
    model = nn.Sequential(
        nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU(), nn.Unflatten(1, (2, 4)),
        nn.Conv1d(2, 3, 2), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(3, 2), nn.Softmax(-1),
    )  # fmt: skip
    agree(model, torch.randn(3, 4), batches=(batch,))


def test_example_of_one_stays_free() -> None:
    agree(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), torch.randn(1, 4), batches=(5,))
