"""Our float32 results against torch's, with torch's own float32 error as yardstick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
FLOOR = 16  # in units of eps times the largest value: the ulp-scale floor
LEAST = 2.0**-10  # smaller largest values are judged as if they were this large


@dataclass(frozen=True)
class Difference:
    """Largest errors relative to the largest value; `reason` if not comparable."""

    ours: float
    torch: float
    reason: str = ""

    @property
    def passed(self) -> bool:
        return not self.reason

    def worst(self, other: Difference) -> Difference:
        reason = self.reason or other.reason
        return Difference(
            max(self.ours, other.ours), max(self.torch, other.torch), reason
        )


NONE = Difference(0.0, 0.0)


def compare(
    ours: Array, low: Array, high: Array | None, least: float = LEAST
) -> Difference:
    """One array: ours, torch in float32, torch in float64 (None where it has none).

    Ours may err by twice torch's own error plus FLOOR ulps of the largest value, or
    of `least` where all are smaller: what should cancel to 0 is only noise.
    """
    if ours.shape != low.shape:
        return Difference(np.inf, 0.0, f"shape {ours.shape}, torch {low.shape}")
    if ours.dtype != low.dtype:
        return Difference(np.inf, 0.0, f"dtype {ours.dtype}, torch {low.dtype}")
    if not np.issubdtype(low.dtype, np.inexact):
        wrong = int((ours != low).sum())
        return Difference(0.0, 0.0, f"{wrong} of {low.size} differ" if wrong else "")
    truth = low if high is None or high.shape != low.shape else high
    finite = np.isfinite(low) & np.isfinite(truth)
    if not np.array_equal(ours[~finite], low[~finite], equal_nan=True):
        return Difference(np.inf, 0.0, "NaN or infinity in other places than torch")
    if not finite.any():
        return NONE
    truth, low, ours = truth[finite], low[finite], ours[finite]
    if not np.isfinite(ours).all():
        return Difference(np.inf, 0.0, "NaN or infinity where torch has none")
    scale = max(float(np.abs(truth).max()), least)
    error = float(np.abs(ours - truth).max()) / scale
    own = float(np.abs(low - truth).max()) / scale
    limit = 2 * own + FLOOR * float(np.finfo(low.dtype).eps)
    failed = not error <= limit
    return Difference(error, own, f"error {error:.1e} > {limit:.1e}" if failed else "")


def compare_all(
    ours: list[Array], low: list[Array], high: list[Array], least: float = LEAST
) -> Difference:
    """All arrays of one result."""
    if len(ours) != len(low):
        return Difference(np.inf, 0.0, f"{len(ours)} results, torch {len(low)}")
    total = NONE
    for k, (a, b) in enumerate(zip(ours, low, strict=True)):
        truth = high[k] if len(high) == len(low) else None
        total = total.worst(compare(a, b, truth, least))
    return total
