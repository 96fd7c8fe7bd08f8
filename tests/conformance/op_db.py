"""PyTorch's own operator tests: `python -m tests.conformance.op_db [--grad]`.

Each sample of torch.testing._internal.common_methods_invocations.op_db is run under a
recorder of torch calls; every call in it is lowered to its NumPy expression, evaluated
and compared with torch. A sample passes where all its calls do.

With --grad a module around each sample of an operator that supports autograd is
transpiled; its gradients are compared with torch.autograd's, and those of a float64
sample with difference quotients.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.testing._internal.opinfo.core import OpInfo

from tests.conformance.command import Run, parser, run
from tests.conformance.compare import compare
from tests.conformance.gradients import (
    NoGradientError,
    check_differences,
    check_gradients,
)
from tests.conformance.op_sample import OPS, copied, op_sample
from tests.conformance.reference import (
    Sample,
    TorchCannotRunError,
    any_differ,
    widened,
)
from tests.conformance.report import Outcome, failed, not_counted
from tests.conformance.sample import warm_up
from tests.conformance.workers import time_limit
from tests.ops.opcheck import evaluate, lowered

SAMPLES = 8  # per operator and dtype
TRIES = 8  # samples that may have no difference quotient before an operator has none
DTYPES = (torch.float32, torch.int64, torch.bool)

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Recorder(TorchFunctionMode):
    """Keep the outermost torch calls with copies of their arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        call = (func, copied(args), copied(kwargs))
        result = func(*args, **kwargs)
        attribute = getattr(func, "__name__", "") == "__get__"  # x.dtype is no call
        if not attribute or isinstance(result, torch.Tensor):
            self.calls.append(call)
        return result


def recorded(info: OpInfo, sample: Any) -> list[Call]:
    """The torch calls that the operator's sample makes."""
    args: tuple[Any, ...] = copied((sample.input, *sample.args))
    kwargs: dict[str, Any] = copied(sample.kwargs)
    try:
        with torch.no_grad(), Recorder() as recorder:
            info.op(*args, **kwargs)
    except Exception as error:
        raise TorchCannotRunError(str(error)) from error
    calls: list[Call] = recorder.calls
    if not calls:
        raise TorchCannotRunError("makes no torch call")
    return calls


def check_call(func: Callable[..., Any], args: Any, kwargs: Any) -> str:
    """Raise where the lowered call differs from torch; returns how it was judged."""
    low, again = (_run(seed, func, copied(args), copied(kwargs)) for seed in (1, 2))
    text, scope = lowered(func, copied(args), copied(kwargs))
    ours = evaluate(text, {name: array.copy() for name, array in scope.items()})
    if "empty" in func.__name__:  # whatever the memory held
        compare(np.zeros_like(ours), torch.zeros_like(low), None)
        return "shape and dtype only"
    if any_differ(low, again):
        compare(ours, low, None)
        return "shape, dtype and finiteness only"
    try:
        high = _run(1, func, widened(args), widened(kwargs))
    except RuntimeError:  # an operator without a float64 form
        high = low
    compare(ours, low, high)
    return ""


def _run(seed: int, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    torch.manual_seed(seed)
    with torch.no_grad():
        return func(*args, **kwargs)


def outcomes_of(name: str, *, samples: int, seconds: int) -> list[Outcome]:
    """Check all samples of one operator."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # deprecated operators say so at each call
    with np.errstate(all="ignore"):  # samples reach outside an operator's domain
        return list(_outcomes(name, samples, seconds))


def _outcomes(name: str, samples: int, seconds: int) -> Iterator[Outcome]:
    info = OPS[name]
    for dtype in DTYPES:
        if dtype not in info.dtypes:
            continue
        torch.manual_seed(0)
        inputs = info.sample_inputs("cpu", dtype, requires_grad=False)
        for index, sample in enumerate(itertools.islice(inputs, samples)):
            label = f"{str(dtype)[6:]} {index}"
            try:
                with time_limit(seconds):
                    notes = {check_call(*call) for call in recorded(info, sample)}
            except TorchCannotRunError as error:
                yield not_counted(name, label, error)
            except Exception as error:  # the report names every failure by its class
                yield failed(name, label, error)
            else:
                yield Outcome(name, label, True, note="".join(notes))


def gradient_outcomes_of(name: str, *, samples: int, seconds: int) -> list[Outcome]:
    """Check the gradients of all differentiable samples of one operator."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with np.errstate(all="ignore"):
        return list(_gradient_outcomes(OPS[name], name, samples, seconds))


def _gradient_outcomes(
    info: OpInfo, name: str, samples: int, seconds: int
) -> Iterator[Outcome]:
    inputs = list(differentiable(info, torch.float32))
    spread = -(-len(inputs) // samples) if inputs else 1
    for index, sample in list(enumerate(inputs))[::spread]:
        label = f"float32 {index}"
        yield from _judged(info, name, label, sample, check_gradients, seconds)
    for sample in itertools.islice(differentiable(info, torch.float64), TRIES):
        label = "difference quotients"
        witness = list(_judged(info, name, label, sample, check_differences, seconds))
        if any(outcome.passed is not None for outcome in witness):
            yield from witness
            break


def differentiable(info: OpInfo, dtype: torch.dtype) -> Iterator[Any]:
    """The samples of one dtype; none where the operator has no gradient in it."""
    if not info.supports_autograd or dtype not in info.supported_backward_dtypes("cpu"):
        return
    torch.manual_seed(0)
    yield from info.sample_inputs("cpu", dtype, requires_grad=True)


def _judged(
    info: OpInfo,
    name: str,
    label: str,
    sample: Any,
    check: Callable[[Sample], str | None],
    seconds: int,
) -> Iterator[Outcome]:
    """One outcome; none for a gradient that there isn't."""
    try:
        with time_limit(seconds):
            note = check(op_sample(info, sample)) or ""
    except NoGradientError:
        return
    except TorchCannotRunError as error:
        yield not_counted(name, label, error)
    except Exception as error:  # the report names every failure by its class
        yield failed(name, label, error)
    else:
        yield Outcome(name, label, True, note=note)


def main() -> None:
    options = parser(__doc__, "operators")
    options.add_argument(
        "--samples",
        type=int,
        help=f"the first {SAMPLES} per dtype; --grad: all, else spread over them",
    )
    options.add_argument("--seconds", type=int, default=20, help="per sample")
    options.add_argument("--grad", action="store_true", help="check gradients")
    chosen = options.parse_args()
    samples = chosen.samples or (sys.maxsize if chosen.grad else SAMPLES)
    check = gradient_outcomes_of if chosen.grad else outcomes_of
    job = Run(
        title="op_db gradients" if chosen.grad else "op_db",
        unit="operators",
        names=[n for n, i in OPS.items() if i.supports_autograd or not chosen.grad],
        check=partial(check, samples=samples, seconds=chosen.seconds),
        seconds=1800 if chosen.grad else chosen.seconds * 3 * SAMPLES,
        gigabytes=4,
    )
    if chosen.grad:
        warm_up()
    run(chosen, job)


if __name__ == "__main__":
    main()
