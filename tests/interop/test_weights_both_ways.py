"""Weights from torch's files into a generated module, and back into torch."""

from __future__ import annotations

import copy
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from torch import Tensor, nn

import luxgen
from luxgen.frontends.weights import read_weights, write_safetensors
from luxgen.verify.compare import compare_all
from tests.golden.cases import case, generate

Arrays = dict[str, np.ndarray[Any, Any]]


class Everything(nn.Module):
    """A tied weight, statistics, buffers of each kind, names that aren't fields."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.conv = nn.Sequential(nn.Conv1d(6, 6, 3, padding=1), nn.BatchNorm1d(6))
        self.rnn = nn.GRU(6, 6, batch_first=True)
        self.parts = nn.ModuleDict({"a-b": nn.LayerNorm(6), "lambda": nn.Linear(6, 6)})
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.table.weight
        self.register_buffer("offset", torch.linspace(-1, 1, 6))
        self.register_buffer("count", torch.tensor(3))
        self.register_buffer("mask", torch.ones(6), persistent=False)

    def forward(self, index: Tensor) -> Tensor:
        x = self.table(index) + self.offset * self.mask
        x = self.conv(x.mT).mT
        x, _ = self.rnn(x)
        x = self.parts["lambda"](self.parts["a-b"](x)) * self.count
        return self.head(x)


@dataclass(frozen=True)
class Trained:
    """A model with weights unlike its first ones, and what was generated from it."""

    model: nn.Module
    inputs: tuple[Tensor, ...]
    module: ModuleType

    def outputs(self, model: nn.Module | None = None) -> list[Any]:
        """Of torch in float32 and float64, in eval mode."""
        low = copy.deepcopy(model or self.model).eval()
        high = copy.deepcopy(low).double()
        wide = [x.double() if x.is_floating_point() else x for x in self.inputs]
        with torch.no_grad():
            return [low(*self.inputs).numpy(), high(*wide).numpy()]

    def ours(self, ps: Any, st: Any) -> Any:
        st = getattr(self.module, "testmode", lambda st: st)(st)
        return self.module.apply(*(x.numpy() for x in self.inputs), ps, st)[0]

    def fits(self, ps: Any, st: Any, model: nn.Module | None = None) -> None:
        """The generated module on these trees gives what torch does."""
        low, high = self.outputs(model)
        found = compare_all([self.ours(ps, st)], [low], [high])
        assert found.passed, found.reason


@pytest.fixture(scope="module", params=["everything", "resnet", "gpt"])
def trained(request: pytest.FixtureRequest) -> Trained:
    torch.manual_seed(0)
    inputs: tuple[Any, ...]
    if request.param == "everything":
        model: nn.Module = Everything()
        inputs = (torch.randint(0, 11, (4, 5)),)
        module = luxgen.transpile(model, inputs, check=False).load()
    else:
        golden = case(request.param)
        model, inputs = golden.loaded.build(), golden.inputs.args
        module = generate(golden, check=False).load()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        model.train()(*inputs)  # moves running statistics
    return Trained(model, inputs, module)


def save_safetensors(model: nn.Module, path: Path) -> None:
    safetensors.torch.save_model(model, str(path))  # one name of a tied parameter


def save_npz(model: nn.Module, path: Path) -> None:
    np.savez(path, **arrays(model))


def save_pt(model: nn.Module, path: Path) -> None:
    torch.save(model.state_dict(), path)


def save_checkpoint(model: nn.Module, path: Path) -> None:
    optimizer = torch.optim.Adam(model.parameters())
    held = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(held, path)


SAVE: dict[str, Callable[[nn.Module, Path], None]] = {
    ".safetensors": save_safetensors,
    ".npz": save_npz,
    ".pt": save_pt,
    ".ckpt": save_checkpoint,
}


def arrays(model: nn.Module) -> Arrays:
    return {n: t.numpy() for n, t in model.state_dict().items()}


@pytest.mark.parametrize("suffix", SAVE)
def test_from_a_file(trained: Trained, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    SAVE[suffix](trained.model, path)
    weights = read_weights(path)
    for name, first in getattr(trained.module, "TIED", {}).items():
        if name not in weights or first not in weights:  # safetensors' save_model
            weights |= {name: weights.get(name, weights.get(first))}
            weights |= {first: weights[name]}
    trained.fits(*trained.module.from_state_dict(weights))


def test_back_into_torch(trained: Trained) -> None:
    """state_dict loads with strict=True; the outputs are the same."""
    module = trained.module
    ps, st = module.from_state_dict(arrays(trained.model))
    ps = module.unravel(module.ravel(ps) * np.float32(0.9))
    for _ in range(2):
        y, st = module.apply(*(x.numpy() for x in trained.inputs), ps, st)
    held = module.state_dict(ps, st)
    other = copy.deepcopy(trained.model)
    with torch.no_grad():
        for tensor in (*other.parameters(), *other.buffers()):
            if tensor.is_floating_point():
                tensor.mul_(3)
        for name, buffer in other.named_buffers():
            if name not in held:
                buffer.copy_(trained.model.get_buffer(name))
    tensors = {n: torch.from_numpy(np.array(w)) for n, w in held.items()}
    assert other.load_state_dict(tensors, strict=True).missing_keys == []
    for name, tensor in other.state_dict().items():
        assert held[name].dtype == tensor.numpy().dtype, name
        np.testing.assert_array_equal(held[name], tensor.numpy())
    trained.fits(ps, st, other)


def to_safetensors(held: Arrays, path: Path) -> dict[str, Tensor]:
    safetensors.numpy.save_file(held, path)
    return safetensors.torch.load_file(path)


def to_own_safetensors(held: Arrays, path: Path) -> dict[str, Tensor]:
    write_safetensors(path, held)
    return safetensors.torch.load_file(path)


def to_npz(held: Arrays, path: Path) -> dict[str, Tensor]:
    np.savez(path, **held)
    with np.load(path) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def to_pt(held: Arrays, path: Path) -> dict[str, Tensor]:
    torch.save({n: torch.from_numpy(np.array(w)) for n, w in held.items()}, path)
    loaded: dict[str, Tensor] = torch.load(path, weights_only=True)
    return loaded


@pytest.mark.parametrize(
    "suffix, save",
    [
        (".safetensors", to_safetensors),
        (".safetensors", to_own_safetensors),
        (".npz", to_npz),
        (".pt", to_pt),
    ],
)
def test_back_by_a_file(
    trained: Trained,
    tmp_path: Path,
    suffix: str,
    save: Callable[[Arrays, Path], dict[str, Tensor]],
) -> None:
    ps, st = trained.module.from_state_dict(arrays(trained.model))
    held = trained.module.state_dict(ps, st)
    tensors = save(held, tmp_path / f"weights{suffix}")
    other = copy.deepcopy(trained.model)
    other.load_state_dict(tensors, strict=True)
    for name, tensor in trained.model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
    again = trained.module.from_state_dict({n: t.numpy() for n, t in tensors.items()})
    np.testing.assert_equal(trained.module.state_dict(*again), held)


def test_the_trees_are_copies(trained: Trained) -> None:
    weights = {n: w.copy() for n, w in arrays(trained.model).items()}
    ps, st = trained.module.from_state_dict(weights)
    before = trained.module.ravel(ps)
    for array in weights.values():
        array[...] = 0
    np.testing.assert_array_equal(trained.module.ravel(ps), before)


def test_all_that_doesnt_fit_is_named(trained: Trained) -> None:
    weights = arrays(trained.model)
    first, second, third, *_ = sorted(
        n for n, w in weights.items() if w.ndim and n not in tied(trained.module)
    )
    del weights[first]
    weights[second] = weights[second][..., None]
    weights[third] = weights[third].astype(np.complex64)
    weights["extra.bias"] = np.zeros(1, np.float32)
    with pytest.raises(ValueError) as caught:
        trained.module.from_state_dict(weights)
    message = str(caught.value)
    for part in (f"missing key {first}", f"{second} is ", "unexpected key extra.bias"):
        assert part in message
    assert f"{third} is complex64" in message


def tied(module: ModuleType) -> set[str]:
    pairs = getattr(module, "TIED", {})
    return {*pairs, *pairs.values()}


READ = """
    import sys
    for blocked in ("torch", "luxgen"):
        sys.modules[blocked] = None
    import numpy as np
    import safetensors.numpy
    import everything

    index = np.load("index.npy")
    outputs = []
    for weights in (
        safetensors.numpy.load_file("everything.safetensors"),
        safetensors.numpy.load_file("trained.safetensors"),
        dict(np.load("trained.npz")),
    ):
        ps, st = everything.from_state_dict(weights)
        outputs.append(everything.apply(index, ps, everything.testmode(st))[0])
    np.savez("outputs.npz", *outputs)
    ps = everything.unravel(everything.ravel(ps) / 2)
    safetensors.numpy.save_file(everything.state_dict(ps, st), "back.safetensors")
"""


def test_without_torch(tmp_path: Path) -> None:
    """The written module with NumPy and safetensors' reader alone, and back."""
    torch.manual_seed(0)
    model = Everything()
    index = torch.randint(0, 11, (4, 5))
    luxgen.transpile(model, (index,)).write(tmp_path / "everything.py")
    first = model.eval()(index).detach().numpy()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    second = model(index).detach().numpy()
    clones = {n: t.clone() for n, t in model.state_dict().items()}
    safetensors.torch.save_file(clones, tmp_path / "trained.safetensors")
    np.savez(tmp_path / "trained.npz", **arrays(model))
    np.save(tmp_path / "index.npy", index.numpy())
    command = [sys.executable, "-c", textwrap.dedent(READ)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "outputs.npz") as outputs:
        for name, truth in zip(outputs.files, (first, second, second), strict=True):
            np.testing.assert_allclose(outputs[name], truth, rtol=1e-5, atol=1e-5)
    back = safetensors.torch.load_file(tmp_path / "back.safetensors")
    model.load_state_dict(back, strict=True)
    half = clones["head.weight"] / 2
    assert torch.equal(model.head.weight, half) and model.head.weight is (
        model.table.weight
    )
