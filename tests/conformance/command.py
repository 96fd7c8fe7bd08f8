"""The command line that the conformance runs share."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.report import (
    Outcome,
    Progress,
    frequent_reasons,
    headline,
    markdown_table,
    text_table,
    write_json,
    write_section,
)
from tests.conformance.workers import run_isolated

RESULTS = Path(__file__).parent / "RESULTS.md"


@dataclass(frozen=True)
class Run:
    """One conformance run: what it goes over, and its limits."""

    title: str  # heading in RESULTS.md
    unit: str  # what a name stands for, in the plural
    names: Sequence[str]
    check: Callable[[str], list[Outcome]]
    seconds: float  # per name
    gigabytes: float  # per name


def parser(doc: str | None, unit: str) -> argparse.ArgumentParser:
    """The options that every run has."""
    made = argparse.ArgumentParser(description=doc)
    made.add_argument("--limit", type=int, help=f"only the first N {unit}")
    made.add_argument("--only", action="append", help="only this one (repeatable)")
    made.add_argument("--jobs", type=int, default=2, help="processes at a time")
    made.add_argument("--json", type=Path, metavar="FILE", help="all outcomes")
    made.add_argument("--write", action="store_true", help=f"update {RESULTS.name}")
    return made


def run(options: argparse.Namespace, job: Run) -> None:
    """Check the chosen names with a progress bar; print and write the report."""
    unknown = sorted(set(options.only or ()) - set(job.names))
    if unknown:
        raise SystemExit(f"unknown {job.unit}: {', '.join(unknown)}")
    names = list(options.only or job.names)[: options.limit]
    progress, results = Progress(len(names)), dict[str, list[Outcome]]()
    for name, outcomes in run_isolated(
        job.check,
        names,
        jobs=options.jobs,
        seconds=job.seconds,
        gigabytes=job.gigabytes,
        failed=lambda name, why: [Outcome(name, "all", False, why)],
    ):
        results[name] = outcomes
        counted = [o for o in outcomes if o.passed is not None]
        wrong = [o.reason for o in counted if not o.passed]
        passed = f"{len(counted) - len(wrong)}/{len(counted)}"
        progress.step(name, " ".join([passed, *wrong[:1]]))
        if options.json:  # so that an interrupted run leaves what it has
            write_json(options.json, [o for done in results.values() for o in done])

    ordered = [outcome for name in names for outcome in results[name]]
    print(text_table(ordered))
    if any(o.passed is False for o in ordered):
        print(f"reasons by number of samples:\n{frequent_reasons(ordered)}")
    print(headline(ordered, job.unit))
    if options.write:
        module = sys.modules["__main__"].__spec__
        told = shlex.join([getattr(module, "name", ""), *sys.argv[1:]])
        how = f"`python -m {told}`"
        body = f"{headline(ordered, job.unit)} Made by {how}."
        write_section(RESULTS, job.title, f"{body}\n\n{markdown_table(ordered)}")
