"""Outcomes of conformance samples: progress bar, tables, JSON, Markdown files."""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """One sample: `passed` is None where torch itself could not run it."""

    name: str
    sample: str
    passed: bool | None
    reason: str = ""
    note: str = ""  # how randomness was handled, if it was
    detail: str = ""  # the whole error, for the JSON file


@dataclass(frozen=True)
class Summary:
    """All samples of one name."""

    name: str
    passed: int
    counted: int
    reasons: tuple[str, ...]
    notes: tuple[str, ...]


def failed(name: str, sample: str, error: BaseException) -> Outcome:
    """A sample that luxgen can't do, or does wrong."""
    detail = "".join(traceback.format_exception(error))[-8000:]
    return Outcome(name, sample, False, short_reason(error), detail=detail)


def not_counted(name: str, sample: str, error: BaseException) -> Outcome:
    """A sample that torch itself can't run here."""
    return Outcome(name, sample, None, short_reason(error))


def short_reason(error: BaseException) -> str:
    """Class and first line of an error, or the distinct reasons of its sites."""
    sites = getattr(error, "sites", ())
    if sites:
        line = "; ".join(dict.fromkeys(site.reason for site in sites))
    else:
        text = str(error).strip().splitlines()
        line = text[0].strip() if text else ""
    return f"{type(error).__name__}: {line}"[:240].rstrip(": ")


def summaries(outcomes: Iterable[Outcome]) -> list[Summary]:
    """One row per name, in order of first appearance; equal reasons are merged."""
    by_name: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_name.setdefault(outcome.name, []).append(outcome)
    rows = []
    for name, group in by_name.items():
        counted = [o for o in group if o.passed is not None]
        rows.append(
            Summary(
                name,
                sum(o.passed is True for o in counted),
                len(counted),
                tuple(dict.fromkeys(o.reason for o in counted if not o.passed)),
                tuple(dict.fromkeys(o.note for o in counted if o.note)),
            )
        )
    return rows


def headline(outcomes: Sequence[Outcome], what: str) -> str:
    """Totals over samples and names."""
    rows = summaries(outcomes)
    passed, counted = sum(r.passed for r in rows), sum(r.counted for r in rows)
    whole = sum(r.passed == r.counted > 0 for r in rows)
    names = sum(r.counted > 0 for r in rows)
    left_out = sum(o.passed is None for o in outcomes)
    percent = 100 * passed / counted if counted else 0.0
    return (
        f"{passed} of {counted} samples pass ({percent:.1f} %); {whole} of {names} "
        f"{what} pass completely; {left_out} samples that torch itself can't run "
        "here are not counted."
    )


def frequent_reasons(outcomes: Iterable[Outcome], most: int = 25) -> str:
    """The reasons that fail most samples, one per line with its count."""
    counts = Counter(o.reason for o in outcomes if o.passed is False)
    return "\n".join(f"{n:5} {reason}" for reason, n in counts.most_common(most))


def text_table(outcomes: Sequence[Outcome]) -> str:
    """One line per name, each reason for failure on its own line below."""
    rows = summaries(outcomes)
    width = max((len(r.name) for r in rows), default=0)
    lines = []
    for r in rows:
        mark = "-" if not r.counted else "ok" if r.passed == r.counted else "FAIL"
        note = f"  ({'; '.join(r.notes)})" if r.notes else ""
        lines.append(f"{mark:4} {r.name:{width}} {r.passed:3}/{r.counted}{note}")
        lines += [f"       {reason}" for reason in r.reasons]
    return "\n".join(lines)


def markdown_table(outcomes: Sequence[Outcome]) -> str:
    """The failing names with their reasons; the passing ones in one paragraph."""
    rows = [r for r in summaries(outcomes) if r.counted]
    failing = [r for r in rows if r.passed < r.counted]
    noted = [r for r in rows if r.notes]
    lines = []
    if failing:
        lines += ["| failing | samples | reasons |", "|---|---|---|"]
        for r in failing:
            reasons = "<br>".join(_cell(reason) for reason in r.reasons)
            lines.append(f"| {r.name} | {r.passed}/{r.counted} | {reasons} |")
        lines.append("")
    whole = [f"{r.name} {r.counted}" for r in rows if r.passed == r.counted]
    lines.append(f"Passing (samples): {', '.join(whole) or 'none'}.")
    if noted:
        notes = "; ".join(f"{r.name}: {', '.join(r.notes)}" for r in noted)
        lines += ["", f"Randomness: {notes}."]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def write_section(path: Path, title: str, body: str) -> None:
    """Put `body` under the heading `## title` of a Markdown file, replacing the old."""
    old = path.read_text(encoding="utf-8") if path.exists() else "# Results\n"
    parts = re.split(r"(?m)^(?=## )", old)
    section = f"## {title}\n\n{body.strip()}\n"
    kept = [p.rstrip() for p in parts if not p.startswith(f"## {title}\n")]
    head, *rest = kept
    sections = sorted([*rest, section.rstrip()])
    path.write_text("\n\n".join([head.rstrip(), *sections]) + "\n", encoding="utf-8")


def write_json(path: Path, outcomes: Sequence[Outcome]) -> None:
    """All outcomes, one object each."""
    path.write_text(json.dumps([asdict(o) for o in outcomes], indent=1) + "\n")


class Progress:
    """A plain-text progress bar on stderr; whole lines where that is no terminal."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.tty = sys.stderr.isatty()

    def step(self, name: str, result: str) -> None:
        self.done += 1
        filled = 30 * self.done // max(self.total, 1)
        bar = "#" * filled + "." * (30 - filled)
        line = f"[{bar}] {self.done}/{self.total} {name}: {result}"
        if self.tty:
            end = "\n" if self.done == self.total else ""
            sys.stderr.write(f"\r{line[:110]:110}{end}")
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()
