"""The conformance tools themselves: processes, limits, tables."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.conformance.report import (
    Outcome,
    headline,
    markdown_table,
    summaries,
    write_section,
)
from tests.conformance.workers import OutOfTimeError, run_isolated, time_limit

OUTCOMES = [
    Outcome("a", "0", True),
    Outcome("a", "1", False, "Error: x|y"),
    Outcome("b", "0", True, note="p=0"),
    Outcome("c", "0", None, "torch can't"),
]


def _task(name: str) -> str:
    if name == "dies":
        os._exit(3)
    if name == "hangs":
        time.sleep(60)
    if name == "grows":
        try:
            bytearray(4 * 2**30)
        except MemoryError:
            return "out of memory"
    return f"did {name}"


def test_each_name_has_its_own_process_and_limits() -> None:
    results = dict(
        run_isolated(
            _task,
            ["fine", "dies", "hangs", "grows"],
            jobs=4,
            seconds=3,
            gigabytes=2,
            failed=lambda name, why: why,
        )
    )
    assert results == {
        "fine": "did fine",
        "dies": "process died: exit 3",
        "hangs": "killed after 3 s",
        "grows": "out of memory",
    }


def test_a_slow_sample_is_stopped() -> None:
    with pytest.raises(OutOfTimeError, match="over 1 s"), time_limit(1):
        time.sleep(5)


def test_samples_that_torch_cannot_run_are_not_counted() -> None:
    assert [(s.name, s.passed, s.counted) for s in summaries(OUTCOMES)] == [
        ("a", 1, 2),
        ("b", 1, 1),
        ("c", 0, 0),
    ]
    assert headline(OUTCOMES, "modules").startswith(
        "2 of 3 samples pass (66.7 %); 1 of 2 modules pass completely; 1 samples"
    )


def test_the_table_names_failures_with_reasons() -> None:
    text = markdown_table(OUTCOMES)
    assert "| a | 1/2 | Error: x\\|y |" in text
    assert "Passing (samples): b 1." in text
    assert "Randomness: b: p=0." in text


def test_writing_a_section_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    write_section(path, "b", "old b")
    write_section(path, "a", "a's text")
    write_section(path, "b", "new b")
    assert path.read_text() == "# Results\n\n## a\n\na's text\n\n## b\n\nnew b\n"
