"""End to end on real data: a convnet trained on digits, run without torch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

import luxgen
from tests.benchmarks.models import digits_net

EPOCHS = 12
BATCH = 64

# what a user runs who has the generated file, its weights and NumPy, and nothing else
PREDICT = """
import sys

for blocked in ("torch", "luxgen", "sklearn", "scipy"):
    sys.modules[blocked] = None

import numpy as np
import digits

with np.load("weights.npz") as weights:
    ps, st = digits.from_state_dict(dict(weights))
images = np.load("images.npy")
logits, _ = digits.apply(images, ps, digits.testmode(st))
np.save("logits.npy", logits)
"""


class DigitsNet(digits_net.DigitsNet):
    """The benchmark's convnet, with the dropout that training usually has."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.25)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.drop(self.features(x)))


@dataclass(frozen=True)
class Trained:
    """A trained model and the images it has never seen."""

    model: DigitsNet
    images: Tensor
    labels: Tensor


@pytest.fixture(scope="module")
def trained() -> Trained:
    """Train on three quarters of the digits; takes a few seconds on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images / 16.0, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(images))
    held_back, train = order[: len(order) // 4], order[len(order) // 4 :]

    model = DigitsNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(EPOCHS):
        for batch in train[torch.randperm(len(train))].split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
    torch.set_num_threads(threads)
    return Trained(model.eval(), images[held_back], labels[held_back])


@pytest.fixture(scope="module")
def numpy_logits(
    trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> np.ndarray:
    """Logits of the held-back images from the generated module in its own process."""
    folder = tmp_path_factory.mktemp("digits")
    generated = luxgen.transpile(trained.model, (trained.images[:2],), name="digits")
    (folder / "digits.py").write_text(generated.source, encoding="utf-8")
    (folder / "predict.py").write_text(PREDICT, encoding="utf-8")
    np.savez(folder / "weights.npz", **generated.weights)
    np.save(folder / "images.npy", trained.images.numpy())
    run = subprocess.run(
        [sys.executable, "predict.py"], cwd=folder, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return np.asarray(np.load(Path(folder, "logits.npy")))


def test_the_network_has_learnt_the_digits(trained: Trained) -> None:
    with torch.no_grad():
        predicted = trained.model(trained.images).argmax(dim=1)
    assert (predicted == trained.labels).float().mean() > 0.97


def test_same_prediction_on_every_held_back_image(
    trained: Trained, numpy_logits: np.ndarray
) -> None:
    with torch.no_grad():
        expected = trained.model(trained.images).argmax(dim=1).numpy()
    np.testing.assert_array_equal(numpy_logits.argmax(axis=1), expected)
    assert len(expected) == 449


def test_logits_are_as_near_to_float64_as_torch_is(
    trained: Trained, numpy_logits: np.ndarray
) -> None:
    with torch.no_grad():
        low = trained.model(trained.images).numpy()
        trained.model.double()
        exact = trained.model(trained.images.double()).numpy()
        trained.model.float()
    own = np.abs(low - exact).max()
    floor = 16 * np.finfo(np.float32).eps * np.abs(exact).max()
    assert numpy_logits.dtype == np.float32
    assert np.abs(numpy_logits - exact).max() <= 2 * own + floor
