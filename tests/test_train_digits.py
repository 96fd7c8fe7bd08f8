"""The digits convnet learns from `setup` in NumPy alone, on torch's own path."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
import torch

import luxgen
from tests.benchmarks import train_digits
from tests.benchmarks.loss_curves import Curve, picture

EPOCHS = 5

# what a user runs who has the generated file and NumPy, and nothing else
TRAIN = """
import json, sys

for blocked in ("torch", "luxgen", "sklearn", "scipy"):
    sys.modules[blocked] = None

import numpy as np
import digits

data = np.load("digits.npz")
images, labels = data["images"], data["labels"]
ps, st = digits.setup(0)
opt_state = digits.adam_init(ps)
losses = []
for chosen in data["batches"]:
    batch = (images[chosen], labels[chosen])
    loss, ps, st, opt_state = digits.train_step(ps, st, opt_state, batch, lr=3e-3)
    losses.append(float(loss))
logits, _ = digits.apply(data["test_images"], ps, digits.testmode(st))
right = (logits.argmax(axis=1) == data["test_labels"]).mean()
print(json.dumps({"losses": losses, "right": float(right)}))
"""


@pytest.fixture(scope="module")
def data() -> train_digits.Digits:
    return train_digits.digits()


@pytest.fixture(scope="module")
def generated() -> luxgen.Generated:
    return luxgen.transpile(train_digits.SOURCE, loss="cross_entropy")


@pytest.fixture(scope="module")
def learnt(
    generated: luxgen.Generated,
    data: train_digits.Digits,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    """Losses and share of held-back images, from a process without torch."""
    folder = tmp_path_factory.mktemp("train_digits")
    (folder / "digits.py").write_text(generated.source, encoding="utf-8")
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    batches = [chosen for epoch in range(EPOCHS) for chosen in data.order(epoch)]
    np.savez(folder / "digits.npz", batches=batches, **vars(data))
    run = subprocess.run(
        [sys.executable, "train.py"], cwd=folder, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_held_back_images_are_recognised(learnt: Any) -> None:
    assert learnt["right"] >= train_digits.GOAL


def test_every_loss_is_torchs(
    learnt: Any, generated: luxgen.Generated, data: train_digits.Digits
) -> None:
    """From the same weights and batches, after every one of a hundred updates."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    theirs = train_digits.torch_run(generated.load(), data, EPOCHS, lambda _: None)
    torch.set_num_threads(threads)
    assert len(theirs.losses) == 105
    np.testing.assert_allclose(learnt["losses"][:10], theirs.losses[:10], rtol=1e-5)
    np.testing.assert_allclose(learnt["losses"], theirs.losses, rtol=1e-3)


def test_the_picture_shows_every_step() -> None:
    curves = [
        Curve("a", [2.0, 0.5, 0.02], "#000", 6),
        Curve("b", [1.0, 0.1], "#111", 1),
    ]
    svg = ET.fromstring(picture("Loss", curves))
    lines = svg.findall("{*}polyline")
    heights = [
        [float(point.split(",")[1]) for point in line.attrib["points"].split()]
        for line in lines
    ]
    assert [len(h) for h in heights] == [3, 2]
    assert heights[0] == sorted(heights[0])  # downwards
    labels = [text.text for text in svg.findall("{*}text")]
    assert {"Loss", "a", "b", "0.01", "3", "step"} <= set(labels)
