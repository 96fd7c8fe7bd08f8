"""Shapes of real models' code that gradients once stumbled over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import luxgen
from tests.semantics.gradients import agree, module_of


def test_only_optional_inputs() -> None:
    class Optional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 2)
            self.out = nn.Linear(2, 2)

        def forward(self, x: Tensor | None = None) -> Tensor:
            assert x is not None
            return self.out(torch.tanh(self.fc(x)))

    model = Optional()
    made = luxgen.transpile(model, (), {"x": torch.randn(4, 3)}, grad=True)
    assert made.report.passed
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    y, _, pullback = module.vjp(ps, st, x=np.ones((4, 3), np.float32))
    *dxs, dps = pullback(np.ones_like(y))
    assert dxs == []
    np.testing.assert_array_equal(dps.out.bias, [4, 4])


def test_a_layer_that_returns_a_list() -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> list[Tensor]:
            h = torch.tanh(self.first(x))
            return [x, h, self.second(h)]

    class Skips(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.head = Encoder(), nn.Linear(9, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.cat(self.encoder(x), 1))

    agree(Skips(), torch.randn(5, 3))
