"""PyTorch's own module tests: `python -m tests.conformance.module_db [--grad]`.

Each sample of torch.testing._internal.common_modules.module_db is built, run in torch
(what torch can't run here isn't counted), transpiled, executed and compared. At most
8 samples per module and mode; each module in a process of its own.

With --grad, gradients of inputs and parameters are compared with torch.autograd's where
the results have any, and a float64 sample with difference quotients.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from functools import partial

import torch
from torch.testing._internal.common_modules import ModuleInfo, ModuleInput, module_db

from tests.conformance.command import Run, parser, run
from tests.conformance.gradients import (
    NoGradientError,
    check_differences,
    check_gradients,
    leaf_sample,
)
from tests.conformance.reference import Sample, TorchCannotRunError
from tests.conformance.report import Outcome, failed, not_counted
from tests.conformance.sample import check_sample, warm_up
from tests.conformance.workers import time_limit

SAMPLES = 8  # per module and mode
MODULES: dict[str, ModuleInfo] = {info.name: info for info in module_db}


def module_inputs(
    info: ModuleInfo, training: bool, dtype: torch.dtype, *, grad: bool = False
) -> list[ModuleInput]:
    """The first samples of a module; the same ones in every run."""
    torch.manual_seed(0)
    inputs = info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=grad, training=training
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


def build_leaves(
    info: ModuleInfo, given: ModuleInput, training: bool, dtype: torch.dtype
) -> Sample:
    """As `build`; each input a leaf of autograd's graph."""
    return leaf_sample(build(info, given, training, dtype))


def outcomes_of(
    name: str, *, dtypes: tuple[torch.dtype, ...], samples: int, seconds: int
) -> list[Outcome]:
    """Check all samples of one module."""
    info = MODULES[name]
    torch.set_num_threads(1)
    wanted = [d for d in dtypes if d in info.dtypes] or [min(info.dtypes, key=str)]
    found: list[Outcome] = []
    for dtype, training in itertools.product(wanted, (True, False)):
        for index, given in enumerate(module_inputs(info, training, dtype)[:samples]):
            label = _label(index, given, training, dtype)
            make = partial(build, info, given, training, dtype)
            found += _outcomes(name, label, make, check_sample, seconds)
    return found


def gradient_outcomes_of(
    name: str, *, dtypes: tuple[torch.dtype, ...], samples: int, seconds: int
) -> list[Outcome]:
    """Check the gradients of all differentiable samples of one module."""
    info = MODULES[name]
    torch.set_num_threads(1)
    found: list[Outcome] = []
    for dtype, training in itertools.product(dtypes, (True, False)):
        inputs = module_inputs(info, training, dtype, grad=True)
        for index, given in enumerate(inputs[:samples]):
            label = _label(index, given, training, dtype)
            make = partial(build_leaves, info, given, training, dtype)
            found += _outcomes(name, label, make, check_gradients, seconds)
    for given in module_inputs(info, True, torch.float64, grad=True):
        make = partial(build_leaves, info, given, True, torch.float64)
        label = "difference quotients"
        witness = _outcomes(name, label, make, check_differences, seconds)
        if any(outcome.passed is not None for outcome in witness):
            return [*found, *witness]
    return found


def _label(index: int, given: ModuleInput, training: bool, dtype: torch.dtype) -> str:
    mode = "train" if training else "eval"
    return f"{mode} {str(dtype)[6:]} {index} {given.desc}".strip()


def _outcomes(
    name: str,
    label: str,
    make: Callable[[], Sample],
    check: Callable[[Sample], str | None],
    seconds: int,
) -> list[Outcome]:
    """One outcome; none for a gradient that there isn't."""
    try:
        with time_limit(seconds):
            try:
                sample = make()
            except Exception as error:
                raise TorchCannotRunError(str(error)) from error
            note = check(sample) or ""
    except NoGradientError:
        return []
    except TorchCannotRunError as error:
        return [not_counted(name, label, error)]
    except Exception as error:  # the report names every failure by its class
        return [failed(name, label, error)]
    return [Outcome(name, label, True, note=note)]


def main() -> None:
    options = parser(__doc__, "modules")
    options.add_argument("--samples", type=int, default=SAMPLES, help="per mode")
    options.add_argument("--dtype", action="append", help="float32 (default), float64")
    options.add_argument("--seconds", type=int, default=30, help="per sample")
    options.add_argument("--grad", action="store_true", help="check gradients")
    chosen = options.parse_args()
    dtypes = tuple(getattr(torch, d) for d in chosen.dtype or ["float32"])
    check = gradient_outcomes_of if chosen.grad else outcomes_of
    job = Run(
        title="module_db gradients" if chosen.grad else "module_db",
        unit="modules",
        names=list(MODULES),
        check=partial(
            check, dtypes=dtypes, samples=chosen.samples, seconds=chosen.seconds
        ),
        seconds=chosen.seconds * 2 * SAMPLES * len(dtypes),
        gigabytes=4,
    )
    warm_up()
    run(chosen, job)


if __name__ == "__main__":
    main()
