"""Calls without a rule become the ATen ops they are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import luxgen
from luxgen import api
from luxgen.errors import UnsupportedError
from luxgen.frontends.bind import Call
from luxgen.frontends.decompose import Decomposer
from luxgen.frontends.trace import trace
from luxgen.ir.program import Op
from luxgen.targets.numpy.rules import has_rule

torch.set_num_threads(1)


Function = Callable[[Tensor], Tensor]


class Net(nn.Module):
    """`function` of the input."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def without(*gone: str) -> Callable[[str], bool]:
    return lambda name: has_rule(name) and name not in gone


# name of the op that loses its rule -> a use of it, the ops it is made of
CASES: dict[str, tuple[Function, set[str]]] = {
    "linear": (lambda x: F.linear(x, x[:2]), {"mm"}),
    "softplus": (lambda x: F.softplus(x), {"log1p", "where"}),
    "mish": (lambda x: F.mish(x), {"softplus", "tanh"}),
    "addcmul": (lambda x: (x * 2).addcmul_(x, x, value=0.5), {"copy"}),
    "mse_loss": (lambda x: F.mse_loss(x, 2 * x), {"pow", "mean"}),
    "logsumexp": (lambda x: torch.logsumexp(x, 1), {"exp", "log"}),
    "roll": (lambda x: torch.roll(x, 1, 0), {"arange", "index_select"}),
    "stack": (lambda x: torch.stack([x, x + 1], 1), {"cat"}),
}


def ops(function: Function, *gone: str) -> list[str]:
    """Names of the ops that a trace records where `gone` have no rule."""
    found = trace(
        Net(function), (torch.randn(3, 4),), {}, training=False, has_rule=without(*gone)
    )
    return [item.name for item in found.root.items if isinstance(item, Op)]


@pytest.mark.parametrize("name", CASES)
def test_made_of(name: str) -> None:
    function, parts = CASES[name]
    assert name in ops(function) or name + "_" in ops(function)
    found = ops(function, name)
    assert name not in found
    assert parts <= set(found)
    assert all(has_rule(each) for each in found)


@pytest.mark.parametrize("name", CASES)
def test_equals_torch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """transpile compares both modes at two sizes with torch."""
    monkeypatch.setattr(api, "has_rule", without(name))
    model = Net(CASES[name][0])
    generated = luxgen.transpile(model, (torch.randn(3, 4),))
    assert generated.report.passed
    assert generated.report.fixed == []


def test_attention_is_seen_as_matrix_products(monkeypatch: pytest.MonkeyPatch) -> None:
    def attend(x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x[None], x[None], x[None])

    gone = "scaled_dot_product_attention"
    found = ops(attend, gone)
    assert {"softmax", "_safe_softmax"} & set(found)
    assert {"bmm", "matmul"} & set(found)
    monkeypatch.setattr(api, "has_rule", without(gone))
    assert luxgen.transpile(Net(attend), (torch.randn(3, 4),)).report.passed


def test_writes_inside_reach_the_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counter(nn.Module):
        total: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("total", torch.zeros(4))

        def forward(self, x: Tensor) -> Tensor:
            self.total.addcmul_(x.mean(0), x.mean(0))
            return x + self.total

    monkeypatch.setattr(api, "has_rule", without("addcmul"))
    x = torch.randn(3, 4)
    model = Counter()
    module = luxgen.transpile(model, (x,)).load()
    ps, st = module.from_state_dict({"total": model.total.numpy().copy()})
    y, st = module.apply(x.numpy(), ps, st)
    torch.testing.assert_close(torch.from_numpy(y), model(x))
    torch.testing.assert_close(torch.from_numpy(st.total), model.total)


def test_what_has_no_rule_and_no_parts_is_refused() -> None:
    model = Net(lambda x: torch.geqrf(x)[0] + torch.tanh(x))
    with pytest.raises(UnsupportedError, match="geqrf has no NumPy rule") as caught:
        luxgen.transpile(model, (torch.randn(3, 4),))
    (site,) = caught.value.sites
    assert "torch.geqrf(x)" in site.source


def test_an_op_that_draws_isn_t_taken_apart() -> None:
    """Its numbers couldn't be held against torch's."""
    seen: list[str] = []
    ones = torch.ones(3)

    def record(call: Call, func: Any, args: Any, kwargs: Any) -> Any:
        seen.append(call.name)
        return func(*args, **kwargs)

    with Decomposer(lambda name: name != "native_dropout", record) as parts:
        torch.native_dropout(ones, 0.5, True)
    assert parts.missing == ["native_dropout"]
    assert seen == []


def test_data_in_python_inside_is_refused() -> None:
    """A decomposition that looks at values can't be followed."""
    found = ops(lambda x: torch.ops.aten.masked_select(x, x > 0), "masked_select")
    assert "masked_select" in found
