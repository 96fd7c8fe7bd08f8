"""Run one task per name, each in a forked process with a time and a memory limit."""

from __future__ import annotations

import multiprocessing
import resource
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any


class OutOfTimeError(Exception):
    """A piece of work took longer than its limit."""


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise OutOfTimeError in this (main) thread after `seconds`."""

    def stop(_signal: int, _frame: object) -> None:
        raise OutOfTimeError(f"over {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@dataclass
class Running:
    name: str
    process: ForkProcess
    pipe: Connection
    deadline: float


def run_isolated(
    task: Callable[[str], Any],
    names: Sequence[str],
    *,
    jobs: int,
    seconds: float,
    gigabytes: float,
    failed: Callable[[str, str], Any],
) -> Iterator[tuple[str, Any]]:
    """Yield (name, task(name)) as they finish; failed(name, why) where a process died.

    A fork keeps what the parent imported (torch takes seconds), and whatever a task
    breaks (segfault, endless loop, memory) ends with its own process.
    """
    context = multiprocessing.get_context("fork")
    waiting, running = deque(names), list[Running]()
    while waiting or running:
        while waiting and len(running) < jobs:
            name = waiting.popleft()
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_child, args=(task, name, theirs, gigabytes), daemon=True
            )
            process.start()
            theirs.close()
            running.append(Running(name, process, ours, time.monotonic() + seconds))
        ready = wait([r.pipe for r in running], timeout=1.0)
        for run in list(running):
            late = time.monotonic() > run.deadline
            if run.pipe not in ready and not late:
                continue
            running.remove(run)
            try:
                if run.pipe not in ready:
                    raise OutOfTimeError(f"killed after {seconds:.0f} s")
                result = run.pipe.recv()
            except EOFError:
                run.process.join()
                result = failed(run.name, f"process died: exit {run.process.exitcode}")
            except OutOfTimeError as error:
                run.process.kill()
                result = failed(run.name, str(error))
            run.process.join()
            run.pipe.close()
            yield run.name, result


def _child(
    task: Callable[[str], Any], name: str, pipe: Connection, gigabytes: float
) -> None:
    limit = int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    pipe.send(task(name))
    pipe.close()
