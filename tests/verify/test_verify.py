"""Verification catches a wrong rule and names the layer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

import luxgen
from luxgen.errors import VerificationError
from luxgen.targets.numpy import rules as tables
from luxgen.verify.compare import compare


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.second = nn.Linear(8, 8)
        self.last = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.sigmoid(self.second(torch.tanh(self.first(x)))))


@pytest.fixture
def broken() -> Iterator[dict[str, object]]:
    """The RULES table, put back after the test."""
    table = tables.rules("RULES")
    before = dict(table)
    yield table
    table.clear()
    table.update(before)


def test_right_rules_pass() -> None:
    report = luxgen.transpile(Net(), (torch.randn(3, 6),)).report
    assert report.passed
    assert [row.module for row in report.rows] == [
        "first",
        "second",
        "last",
        "(output)",
    ]
    assert len(report.runs) == 4


def test_a_broken_rule_is_caught_and_the_layer_named(broken: dict[str, object]) -> None:
    broken["linear"] = "(input @ weight.T + bias) * 1.001"
    with pytest.raises(VerificationError, match=r"first in first \(Linear\)"):
        luxgen.transpile(Net(), (torch.randn(3, 6),))


def test_a_rule_broken_between_layers_names_the_next_one(
    broken: dict[str, object],
) -> None:
    broken["tanh"] = "np.tanh(input) + 1e-3"
    with pytest.raises(
        VerificationError, match=r"first in second \(Linear\)"
    ) as caught:
        luxgen.transpile(Net(), (torch.randn(3, 6),))
    rows = {row.module: row for row in caught.value.report.rows}
    assert rows["first"].passed and not rows["second"].passed


def test_a_wrong_dtype_is_caught(broken: dict[str, object]) -> None:
    broken["sigmoid"] = "1 / (1 + np.exp(-input.astype(np.float64)))"
    with pytest.raises(VerificationError, match="dtype float64"):
        luxgen.transpile(Net(), (torch.randn(3, 6),))


def test_yardstick() -> None:
    exact = np.linspace(-1, 1, 1000)
    low = exact.astype(np.float32)
    assert compare(low, low, exact).passed
    assert not compare(low + np.float32(1e-5), low, exact).passed
    assert not compare(low[:-1], low, exact).passed
    wrong = low.copy()
    wrong[3] = np.nan
    assert "NaN" in compare(wrong, low, exact).reason
    assert not compare(np.array([1, 2]), np.array([1, 3]), None).passed
