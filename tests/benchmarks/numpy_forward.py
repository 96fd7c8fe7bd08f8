"""Forward pass beside torch eager: `python -m tests.benchmarks.numpy_forward`.

For every golden case the generated NumPy module and the torch model run in turn, in
one process, each on one thread, in evaluation mode without gradients.

Peak memory is the most bytes of arrays alive at once during a call beyond those alive
before it, counted at the allocator on both sides: tracemalloc, to which NumPy reports
its buffers, and torch's profiler with profile_memory. Resident memory would count the
first call's code and caches, many times a small model's tensors. Neither side sees the
scratch space that its BLAS or oneDNN allocates; tracemalloc also counts the Python
objects of the call.
"""

from __future__ import annotations

import os

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))  # before NumPy and torch load BLAS

import argparse  # noqa: E402
import json  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import tracemalloc  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import asdict, dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import torch  # noqa: E402

from tests.benchmarks.cases import CASES, numpy_module, torch_model  # noqa: E402
from tests.benchmarks.machine import machine  # noqa: E402
from tests.conformance.compare import compare  # noqa: E402
from tests.conformance.reference import widened  # noqa: E402
from tests.conformance.report import Progress, write_section  # noqa: E402
from tests.conformance.sample import to_numpy  # noqa: E402

RESULTS = Path(__file__).parent / "RESULTS.md"
BATCH = 8
TIME_LIMIT = {"gpt": 2.0, "mlp": 2.0}  # times torch; 4 for the other cases
MEMORY_LIMIT = 4.0


@dataclass(frozen=True)
class Row:
    """Medians of one case, in seconds and bytes."""

    case: str
    torch_s: float
    numpy_s: float
    torch_bytes: int
    numpy_bytes: int

    @property
    def time_ratio(self) -> float:
        return self.numpy_s / self.torch_s

    @property
    def memory_ratio(self) -> float:
        return self.numpy_bytes / max(self.torch_bytes, 1)

    @property
    def within(self) -> bool:
        limit = TIME_LIMIT.get(self.case, 4.0)
        return self.time_ratio <= limit and self.memory_ratio <= MEMORY_LIMIT


def measure(case: str, batch: int, seconds: float) -> Row:
    """Time both sides in turn for `seconds`, after making sure that they agree."""
    model = torch_model(case).eval()
    torch.manual_seed(1)
    args = CASES[case][1](batch)
    text = numpy_module(case)
    ps, st = text.from_state_dict({k: v.numpy() for k, v in model.state_dict().items()})
    if hasattr(text, "testmode"):
        st = text.testmode(st)
    arrays = to_numpy(args)

    def ours() -> Any:
        return text.apply(*arrays, ps, st)[0]

    def theirs() -> Any:
        return model(*args)

    with torch.no_grad():
        low = theirs()
        compare(ours(), low, torch_model(case).double().eval()(*widened(args)))
        torch_s, numpy_s = _interleaved(theirs, ours, seconds)
        return Row(case, torch_s, numpy_s, torch_peak(theirs), numpy_peak(ours))


def _interleaved(
    first: Callable[[], Any], second: Callable[[], Any], seconds: float
) -> tuple[float, float]:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(3):
        first(), second()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 10:
        for func, spent in zip((first, second), times, strict=True):
            start = time.perf_counter()
            func()
            spent.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def numpy_peak(call: Callable[[], Any]) -> int:
    """Most bytes alive during the call beyond those before it."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        result = call()
        _, peak = tracemalloc.get_traced_memory()
        del result
    finally:
        tracemalloc.stop()
    return peak - before


def torch_peak(call: Callable[[], Any]) -> int:
    """The same, from the allocations and releases that torch's profiler saw."""
    cpu = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[cpu], profile_memory=True) as profile:
        result = call()
    del result
    inner = profile.profiler
    assert inner is not None and inner.kineto_results is not None
    events = [e for e in inner.kineto_results.events() if e.name() == "[memory]"]
    alive = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        alive += event.nbytes()
        peak = max(peak, alive)
    return peak


def table(rows: list[Row]) -> str:
    """Markdown table of all cases, times in ms and memory in KiB."""
    lines = [
        "| case | torch ms | NumPy ms | ratio | torch KiB | NumPy KiB | ratio | |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for r in rows:
        lines.append(
            f"| {r.case} | {1e3 * r.torch_s:.3f} | {1e3 * r.numpy_s:.3f} "
            f"| {r.time_ratio:.2f} | {r.torch_bytes / 1024:.0f} "
            f"| {r.numpy_bytes / 1024:.0f} | {r.memory_ratio:.2f} "
            f"| {'' if r.within else 'over'} |"
        )
    return "\n".join(lines)


def conditions(batch: int) -> str:
    """What the figures depend on."""
    return (
        f"Batch {batch}, float32, evaluation mode, one thread each, run in turn, "
        f"medians. {machine()}. Limits: time 4 x torch (gpt and mlp 2 x), peak "
        "memory 4 x; memory is bytes of arrays alive at once beyond those before the "
        "call (tracemalloc; torch's profiler). "
        "Made by `python -m tests.benchmarks.numpy_forward --write`."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=CASES, help="case")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--seconds", type=float, default=2.0, help="per case")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--write", action="store_true", help=f"update {RESULTS.name}")
    parser.add_argument("--check", action="store_true", help="exit 1 over a limit")
    options = parser.parse_args()

    torch.set_num_threads(1)
    cases = options.only or list(CASES)
    progress, rows = Progress(len(cases)), list[Row]()
    for case in cases:
        row = measure(case, options.batch, options.seconds)
        rows.append(row)
        progress.step(case, f"{row.time_ratio:.2f} x time")
    print(table(rows))
    print(conditions(options.batch))
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    if options.write:
        body = f"{conditions(options.batch)}\n\n{table(rows)}"
        write_section(RESULTS, "numpy_forward", body)
    if options.check and not all(row.within for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
