"""PyTorch's own operator tests: `python -m tests.conformance.op_db`.

Each sample of torch.testing._internal.common_methods_invocations.op_db is run under a
recorder of torch calls; every call in it is lowered to its NumPy expression, evaluated
and compared with torch. A sample passes where all its calls do.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo.core import OpInfo

from tests.conformance.command import Run, parser, run
from tests.conformance.compare import compare
from tests.conformance.reference import TorchCannotRunError, any_differ, widened
from tests.conformance.report import Outcome, failed, not_counted
from tests.conformance.workers import time_limit
from tests.ops.opcheck import evaluate, lowered

SAMPLES = 8  # per operator and dtype
DTYPES = (torch.float32, torch.int64, torch.bool)

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def op_name(info: OpInfo) -> str:
    """`name` or `name.variant`."""
    variant = info.variant_test_name
    return f"{info.name}.{variant}" if variant else str(info.name)


OPS: dict[str, OpInfo] = {op_name(info): info for info in op_db}


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
        call = (func, _copied(args), _copied(kwargs))
        result = func(*args, **kwargs)
        attribute = getattr(func, "__name__", "") == "__get__"  # x.dtype is no call
        if not attribute or isinstance(result, torch.Tensor):
            self.calls.append(call)
        return result


def _copied(item: Any) -> Any:
    """Own storage for every tensor, so that in-place calls harm no other use."""
    if isinstance(item, torch.Tensor):
        whole = item.layout is torch.strided  # with all that a view's base holds
        return copy.deepcopy(item.detach()) if whole else item.clone()
    if isinstance(item, list | tuple):
        values = [_copied(v) for v in item]
        if hasattr(item, "_fields"):
            return type(item)(*values)
        return type(item)(values)
    if isinstance(item, dict):
        return {k: _copied(v) for k, v in item.items()}
    return item


def recorded(info: OpInfo, sample: Any) -> list[Call]:
    """The torch calls that the operator's sample makes."""
    args: tuple[Any, ...] = _copied((sample.input, *sample.args))
    kwargs: dict[str, Any] = _copied(sample.kwargs)
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
    low, again = (_run(seed, func, _copied(args), _copied(kwargs)) for seed in (1, 2))
    text, scope = lowered(func, _copied(args), _copied(kwargs))
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


def main() -> None:
    options = parser(__doc__, "operators")
    options.add_argument("--samples", type=int, default=SAMPLES, help="per dtype")
    options.add_argument("--seconds", type=int, default=20, help="per sample")
    chosen = options.parse_args()
    job = Run(
        title="op_db",
        unit="operators",
        names=list(OPS),
        check=partial(outcomes_of, samples=chosen.samples, seconds=chosen.seconds),
        seconds=chosen.seconds * 3 * SAMPLES,
        gigabytes=4,
    )
    run(chosen, job)


if __name__ == "__main__":
    main()
