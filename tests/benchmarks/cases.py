"""The golden cases: their torch models, and inputs at any batch size."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

GOLDEN = Path(__file__).parents[2] / "golden"

Inputs = Callable[[int], tuple[Any, ...]]


def _tokens(vocabulary: int, *sizes: int) -> torch.Tensor:
    return torch.randint(0, vocabulary, sizes)


def _lstm_inputs(n: int) -> tuple[Any, ...]:
    return _tokens(200, n, 35), (torch.zeros(2, n, 64), torch.zeros(2, n, 64))


# case: (class in model.py, inputs at batch n in the size the model is made for)
CASES: dict[str, tuple[str, Inputs]] = {
    "mlp": ("MLP", lambda n: (torch.randn(n, 784),)),
    "lenet5": ("LeNet5", lambda n: (torch.randn(n, 1, 28, 28),)),
    "resnet": ("ResNet", lambda n: (torch.randn(n, 3, 32, 32),)),
    "vae": ("VAE", lambda n: (torch.rand(n, 1, 28, 28),)),
    "gpt": ("GPT", lambda n: (_tokens(96, n, 64),)),
    "transformer": (
        "Seq2SeqTransformer",
        lambda n: (_tokens(100, n, 32), _tokens(120, n, 32)),
    ),
    "lstm_lm": ("LSTMLanguageModel", _lstm_inputs),
    "gru_policy": ("GRUPolicy", lambda n: (torch.randn(n, 8), torch.randn(n, 32))),
    "unet": ("UNet", lambda n: (torch.randn(n, 3, 64, 64),)),
    "wavenet": ("WaveNet", lambda n: (torch.rand(n, 1, 400) * 2 - 1,)),
    "mixture": ("MixtureDensityNetwork", lambda n: (torch.randn(n, 4),)),
    "pointnet": ("PointNet", lambda n: (torch.randn(n, 256, 3),)),
}


def torch_model(case: str) -> nn.Module:
    """The case's model with its default sizes and the weights of seed 0."""
    module = load(GOLDEN / case / "model.py", f"golden_{case}_model")
    torch.manual_seed(0)
    model: nn.Module = getattr(module, CASES[case][0])()
    return model


def numpy_module(case: str) -> types.ModuleType:
    """The case's generated module: the file beside model.py."""
    modules = (p for p in (GOLDEN / case).glob("*.py") if p.stem != "model")
    (path,) = (p for p in modules if not p.stem.endswith("_train"))
    return load(path, f"golden_{case}")


def load(path: Path, name: str) -> types.ModuleType:
    """Import a file under a name of its own (every source is called model.py)."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
