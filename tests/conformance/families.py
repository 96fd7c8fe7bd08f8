"""Public model families with random weights: `python -m tests.conformance.families`.

Every family of the builder tables is built small, transpiled in a process of its own
with time and memory limits, executed and compared with torch in evaluation mode. The
packages live in an extra environment; a family whose package isn't there isn't
counted. To make one (torch as in the project's own venv; --no-deps where a package
would pull another torch; never torchaudio, it breaks transformers' imports):

    python -m venv venv-families
    echo <project's site-packages> > venv-families/lib/python3.*/site-packages/base.pth
    venv-families/bin/pip install --no-deps torchvision==0.28.0 timm ...
"""

from __future__ import annotations

import logging
import os
import warnings
from functools import partial

import torch

from tests.conformance import (
    families_models_other,
    families_models_text,
    families_models_timm,
    families_models_vision,
)
from tests.conformance.built import Builder, Built
from tests.conformance.command import Run, parser, run
from tests.conformance.reference import Sample, TorchCannotRunError
from tests.conformance.report import Outcome, failed, not_counted
from tests.conformance.sample import check_sample
from tests.conformance.workers import time_limit

BUILDERS: dict[str, Builder] = {
    **families_models_timm.BUILDERS,
    **families_models_text.BUILDERS,
    **families_models_vision.BUILDERS,
    **families_models_other.BUILDERS,
}


def outcomes_of(name: str, *, seconds: int, train: bool) -> list[Outcome]:
    """Check one family, in evaluation mode and, if wanted, in training mode."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # packages deprecate what others still use
    logging.disable(logging.CRITICAL)
    os.environ["HF_HUB_OFFLINE"] = "1"  # weights are random: nothing to fetch
    return [_outcome(name, mode, seconds) for mode in (False, True)[: 1 + train]]


def _outcome(name: str, training: bool, seconds: int) -> Outcome:
    mode = "train" if training else "eval"
    try:
        with time_limit(seconds):
            built = _build(name)
            built.model.train(training)
            note = check_sample(Sample(built.model, built.args, built.kwargs))
    except TorchCannotRunError as error:
        return not_counted(name, mode, error)
    except Exception as error:  # the report names every failure by its class
        return failed(name, mode, error)
    return Outcome(name, mode, True, note=note)


def _build(name: str) -> Built:
    torch.manual_seed(0)
    try:
        return BUILDERS[name]()
    except Exception as error:
        raise TorchCannotRunError(f"{type(error).__name__}: {error}") from error


def main() -> None:
    options = parser(__doc__, "families")
    options.add_argument("--package", action="append", help="e.g. timm (repeatable)")
    options.add_argument("--seconds", type=int, default=180, help="per family")
    options.add_argument("--gigabytes", type=float, default=8, help="per family")
    options.add_argument("--train", action="store_true", help="training mode as well")
    chosen = options.parse_args()
    names = [
        name
        for name in BUILDERS
        if not chosen.package or name.split(":")[0] in chosen.package
    ]
    job = Run(
        title="families",
        unit="families",
        names=names,
        check=partial(outcomes_of, seconds=chosen.seconds, train=chosen.train),
        seconds=2 * chosen.seconds + 30,
        gigabytes=chosen.gigabytes,
    )
    run(chosen, job)


if __name__ == "__main__":
    main()
