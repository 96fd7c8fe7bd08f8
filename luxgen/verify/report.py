"""What verification found: one row per module, mode and batch size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """The worst differences of one module over all runs."""

    module: str
    layer: str
    ours: float
    torch: float
    passed: bool
    reason: str = ""


@dataclass
class Report:
    """All rows in the order of calls; `runs` says which modes and sizes were run."""

    rows: list[Row] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        decisive = (OUTPUT, GRADIENTS)
        return all(row.passed for row in self.rows if row.module in decisive)

    @property
    def first_wrong(self) -> Row | None:
        """The first module in call order that differs."""
        return next((row for row in self.rows if not row.passed), None)

    def lines(self) -> list[str]:
        """The table, widths fitted, then notes."""
        if not self.rows:
            return [*self.notes]
        width = max(len(row.module) for row in self.rows)
        kind = max(len(row.layer) for row in self.rows)
        head = f"{'module':{width}}  {'layer':{kind}}  max error  torch's own"
        lines = [head]
        for row in self.rows:
            mark = "ok" if row.passed else f"WRONG: {row.reason}"
            lines.append(
                f"{row.module:{width}}  {row.layer:{kind}}  {row.ours:9.1e}  "
                f"{row.torch:11.1e}  {mark}"
            )
        lines.append(f"verified against torch float64: {'; '.join(self.runs)}")
        lines += [f"fixed: {f}" for f in self.fixed]
        return [*lines, *self.notes]

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON-ready data."""
        return {
            "passed": self.passed,
            "rows": [vars(row) | {} for row in self.rows],
            "runs": self.runs,
            "fixed": self.fixed,
            "notes": self.notes,
        }


OUTPUT = "(output)"
GRADIENTS = "(gradients)"
