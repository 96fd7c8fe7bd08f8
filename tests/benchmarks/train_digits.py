"""A convnet trained by NumPy and by torch: `python -m tests.benchmarks.train_digits`.

luxgen writes models/digits_net.py with gradients; its `setup` and `train_step`, which
need NumPy only, learn scikit-learn's digits. torch starts from the same weights, takes
the same batches, and its own backward pass and Adam. With --write the loss curves are
drawn in digits_loss.svg and the figures put into RESULTS.md.
"""

from __future__ import annotations

import os

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))  # before NumPy and torch load BLAS

import argparse  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from pathlib import Path  # noqa: E402
from types import ModuleType  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402

import luxgen  # noqa: E402
from tests.benchmarks.cases import load  # noqa: E402
from tests.benchmarks.loss_curves import Curve, picture  # noqa: E402
from tests.benchmarks.machine import machine  # noqa: E402
from tests.conformance.report import Progress, write_section  # noqa: E402

SOURCE = Path(__file__).parent / "models" / "digits_net.py"
RESULTS = Path(__file__).parent / "RESULTS.md"
PICTURE = Path(__file__).parent / "digits_loss.svg"
SEED = 0
EPOCHS = 10
BATCH = 64
RATE = 3e-3
GOAL = 0.97  # of the held-back images

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Digits:
    """Images (N, 1, 8, 8) in [0, 1] and their digits; a quarter is held back."""

    images: Array
    labels: Array
    test_images: Array
    test_labels: Array

    def batches(self, epoch: int) -> Iterator[tuple[Array, Array]]:
        """The same for every learner."""
        for chosen in self.order(epoch):
            yield self.images[chosen], self.labels[chosen]

    def order(self, epoch: int) -> Array:
        """Indices (steps, BATCH) in an order of the epoch's own; a short rest is left."""
        order = np.random.default_rng([SEED, epoch]).permutation(len(self.images))
        steps = len(order) // BATCH
        return order[: steps * BATCH].reshape(steps, BATCH)


@dataclass
class Run:
    """What one learner did: the loss of each step, and how it ended."""

    name: str
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    accuracy: float = 0.0


Shown = Callable[[Run], None]  # called after each epoch


def digits() -> Digits:
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    order = np.random.default_rng(SEED).permutation(len(images))
    test, train = np.split(order, [len(order) // 4])
    return Digits(images[train], labels[train], images[test], labels[test])


def numpy_run(module: ModuleType, data: Digits, epochs: int, shown: Shown) -> Run:
    """Train from the module's own `setup`."""
    ps, st = module.setup(SEED)
    opt_state = module.adam_init(ps)
    run = Run("NumPy")
    start = time.perf_counter()
    for epoch in range(epochs):
        for batch in data.batches(epoch):
            loss, ps, st, opt_state = module.train_step(
                ps, st, opt_state, batch, lr=RATE
            )
            run.losses.append(float(loss))
        run.seconds = time.perf_counter() - start
        shown(run)
    logits, _ = module.apply(data.test_images, ps, module.testmode(st))
    run.accuracy = float((logits.argmax(axis=1) == data.test_labels).mean())
    return run


def torch_run(module: ModuleType, data: Digits, epochs: int, shown: Shown) -> Run:
    """Train the source from the same weights: `setup` of an int repeats torch's draws."""
    torch.manual_seed(SEED)
    model = load(SOURCE, "digits_net_source").DigitsNet()
    ours = module.state_dict(*module.setup(SEED))
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(ours[name], value.numpy(), name)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    run = Run("torch")
    start = time.perf_counter()
    for epoch in range(epochs):
        for images, labels in data.batches(epoch):
            x, target = torch.from_numpy(images), torch.from_numpy(labels)
            loss = F.cross_entropy(model(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.losses.append(loss.item())
        run.seconds = time.perf_counter() - start
        shown(run)
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(data.test_images)).numpy()
    run.accuracy = float((logits.argmax(axis=1) == data.test_labels).mean())
    return run


def table(runs: list[Run]) -> str:
    """Markdown table of how the learners ended."""
    lines = ["| | first loss | last loss | held back, right | ms a step |"]
    lines.append("|---|--:|--:|--:|--:|")
    for run in runs:
        lines.append(
            f"| {run.name} | {run.losses[0]:.4f} | {run.losses[-1]:.4f} "
            f"| {run.accuracy:.1%} | {1e3 * run.seconds / len(run.losses):.2f} |"
        )
    return "\n".join(lines)


def conditions(runs: list[Run], epochs: int) -> str:
    """What was run, and how far the two curves are apart."""
    ours, theirs = (np.array(run.losses) for run in runs)
    apart = np.abs(ours - theirs) / theirs
    return (
        f"`{SOURCE.name}` on scikit-learn's digits, {epochs} epochs of batches of "
        f"{BATCH}, Adam at {RATE:g}, from `setup({SEED})` and `torch.manual_seed({SEED})`"
        f"; 449 images held back. One thread each. The losses differ by at most "
        f"{apart[:10].max():.1e} relative over the first ten steps, {apart.max():.1e} "
        f"over all {len(apart)}. {machine()}. "
        "Made by `python -m tests.benchmarks.train_digits --write`."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--write", action="store_true", help="picture and RESULTS.md")
    options = parser.parse_args()

    torch.set_num_threads(1)
    data = digits()
    module = luxgen.transpile(SOURCE, loss="cross_entropy").load()
    progress = Progress(2 * options.epochs)

    def shown(run: Run) -> None:
        progress.step(run.name, f"loss {run.losses[-1]:.4f}")

    runs = [
        learner(module, data, options.epochs, shown)
        for learner in (numpy_run, torch_run)
    ]
    print(table(runs))
    print(conditions(runs, options.epochs))
    if options.write:
        ours, theirs = runs
        curves = [
            Curve("torch", theirs.losses, "#f5a582", 6),
            Curve("NumPy", ours.losses, "#0b3c6f", 1.4),
        ]
        PICTURE.write_text(picture("Cross entropy of each batch of digits", curves))
        image = f"![loss curves of NumPy and torch]({PICTURE.name})"
        body = f"{conditions(runs, options.epochs)}\n\n{table(runs)}\n\n{image}"
        write_section(RESULTS, "train_digits", body)
    if min(run.accuracy for run in runs) < GOAL:
        sys.exit(f"less than {GOAL:.0%} of the held-back images are right")


if __name__ == "__main__":
    main()
