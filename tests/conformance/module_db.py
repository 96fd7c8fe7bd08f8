"""PyTorch's own module tests: `python -m tests.conformance.module_db`.

Each sample of torch.testing._internal.common_modules.module_db is built, run in torch
(what torch can't run here isn't counted), transpiled, executed and compared. At most
8 samples per module and mode; each module in a process of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial

import torch
from torch.testing._internal.common_modules import ModuleInfo, ModuleInput, module_db

from tests.conformance.command import Run, parser, run
from tests.conformance.reference import Sample, TorchCannotRunError
from tests.conformance.report import Outcome, failed, not_counted
from tests.conformance.sample import check_sample
from tests.conformance.workers import time_limit

SAMPLES = 8  # per module and mode
MODULES: dict[str, ModuleInfo] = {info.name: info for info in module_db}


def module_inputs(
    info: ModuleInfo, training: bool, dtype: torch.dtype
) -> list[ModuleInput]:
    """The first samples of a module; the same ones in every run."""
    torch.manual_seed(0)
    inputs = info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=False, training=training
    )
    return list(inputs)[:SAMPLES]


def build(
    info: ModuleInfo, given: ModuleInput, training: bool, dtype: torch.dtype
) -> Sample:
    """The module with weights of a fixed seed, lazy parameters already made."""
    torch.manual_seed(0)
    module = info.module_cls(
        *given.constructor_input.args, **given.constructor_input.kwargs
    )
    forward = given.forward_input
    args, kwargs = (forward.args, forward.kwargs) if forward else ((), {})
    module.to(dtype)
    if info.is_lazy:
        with torch.no_grad():
            module(*copy.deepcopy(args), **copy.deepcopy(kwargs))
    module.train(training)
    return Sample(module, tuple(args), dict(kwargs))


def outcomes_of(
    name: str, *, dtypes: tuple[torch.dtype, ...], samples: int, seconds: int
) -> list[Outcome]:
    """Check all samples of one module."""
    return list(_outcomes(MODULES[name], dtypes, samples, seconds))


def _outcomes(
    info: ModuleInfo, dtypes: tuple[torch.dtype, ...], samples: int, seconds: int
) -> Iterator[Outcome]:
    torch.set_num_threads(1)
    wanted = [d for d in dtypes if d in info.dtypes] or [min(info.dtypes, key=str)]
    for dtype in wanted:
        for training in (True, False):
            for index, given in enumerate(module_inputs(info, training, dtype)):
                if index >= samples:
                    break
                mode = "train" if training else "eval"
                label = f"{mode} {str(dtype)[6:]} {index} {given.desc}".strip()
                yield _outcome(info, given, training, dtype, label, seconds)


def _outcome(
    info: ModuleInfo,
    given: ModuleInput,
    training: bool,
    dtype: torch.dtype,
    label: str,
    seconds: int,
) -> Outcome:
    try:
        with time_limit(seconds):
            try:
                sample = build(info, given, training, dtype)
            except Exception as error:
                raise TorchCannotRunError(str(error)) from error
            note = check_sample(sample)
    except TorchCannotRunError as error:
        return not_counted(info.name, label, error)
    except Exception as error:  # the report names every failure by its class
        return failed(info.name, label, error)
    return Outcome(info.name, label, True, note=note)


def main() -> None:
    options = parser(__doc__, "modules")
    options.add_argument("--samples", type=int, default=SAMPLES, help="per mode")
    options.add_argument("--dtype", action="append", help="float32 (default), float64")
    options.add_argument("--seconds", type=int, default=30, help="per sample")
    chosen = options.parse_args()
    dtypes = tuple(getattr(torch, d) for d in chosen.dtype or ["float32"])
    job = Run(
        title="module_db",
        unit="modules",
        names=list(MODULES),
        check=partial(
            outcomes_of, dtypes=dtypes, samples=chosen.samples, seconds=chosen.seconds
        ),
        seconds=chosen.seconds * 2 * SAMPLES * len(dtypes),
        gigabytes=4,
    )
    run(chosen, job)


if __name__ == "__main__":
    main()
