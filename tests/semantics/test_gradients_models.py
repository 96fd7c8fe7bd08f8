"""Shapes of real models' code that gradients once stumbled over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import luxgen
from tests.semantics.gradients import agree


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


def clean(model: nn.Module, *args: Tensor, where: Path) -> str:
    """The module's text, if mypy --strict and ruff have nothing to say about it."""
    text = luxgen.transpile(model, args, grad=True).source
    path = where / "generated.py"
    path.write_text(text)
    ruff = ["ruff", "check", "--isolated", "--select=E,F,I,B,UP,SIM", "--ignore=E501"]
    mypy = ["mypy", "--strict", "--no-incremental", "--python-version=3.11"]
    for command in (ruff, mypy):
        done = subprocess.run(
            [sys.executable, "-m", *command, str(path)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout
    return text


class Joined(nn.Module):
    """Returns a ufunc of a sum, which NumPy's stubs take for Any."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x = x * 2
        return torch.tanh(x + y)


class Peaks(nn.Module):
    """Returns a variable that was a reduction."""

    def forward(self, x: Tensor) -> Tensor:
        peak = x.amax(1)
        return peak


class Steps(nn.Module):
    """One name for a size and an array; comparisons and quotients in one backward."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        x = nn.functional.hardswish(self.fc(x))
        n = x.reshape(b, n * c).reshape(b, n, c) / 2
        grid = torch.zeros(2, 3)
        grid[0] = 1
        grid = grid.reshape(1, 2, 3)
        return nn.functional.hardswish(n).reshape(b, -1, 2, 3) * grid


def test_clean_text(tmp_path: Path) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.joined = nn.Linear(6, 6), Joined()
            self.steps, self.peaks = Steps(), Peaks()

        def forward(self, x: Tensor) -> Tensor:
            y = self.joined(self.fc(x), x)
            return self.peaks(self.steps(y).flatten(1))

    clean(Model(), torch.randn(3, 4, 6), where=tmp_path)


def test_a_choice_by_mode_is_one_expression(tmp_path: Path) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.fc(x)
            return torch.tanh(x * 3) if self.training else torch.tanh(x)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.scaled = nn.Linear(3, 3), Scaled()

        def forward(self, x: Tensor) -> Tensor:
            return self.scaled(self.first(x))

    clean(Model(), torch.randn(3, 3), where=tmp_path)


def test_an_optional_list_of_layers_at_the_end(tmp_path: Path) -> None:
    class Residual(nn.Module):
        def __init__(self, n: int, out: int) -> None:
            super().__init__()
            self.fc = nn.Linear(n, out)
            self.skip = nn.Linear(n, out) if n != out else None

        def forward(self, x: Tensor) -> Tensor:
            y = torch.tanh(self.fc(x))
            return y + (x if self.skip is None else self.skip(x))

    class Up(nn.Module):
        def __init__(self, n: int, out: int, up: bool) -> None:
            super().__init__()
            self.resnets = nn.ModuleList([Residual(n, out), Residual(out, out)])
            self.ups = nn.ModuleList([nn.Linear(out, out)]) if up else None

        def forward(self, x: Tensor) -> Tensor:
            for resnet in self.resnets:
                x = resnet(x)
            if self.ups is not None:
                for up in self.ups:
                    x = up(x)
            return x

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ups = nn.ModuleList([Up(4, 4, True), Up(4, 2, False)])

        def forward(self, x: Tensor) -> Tensor:
            for up in self.ups:
                x = up(x)
            return x

    model = Model()
    agree(model, torch.randn(3, 4))
    assert ".n0" not in clean(model, torch.randn(3, 4), where=tmp_path)
