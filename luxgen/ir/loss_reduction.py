"""How a loss reduces, in any of the ways that torch is asked for it."""

from __future__ import annotations

from typing import Any

NUMBERED = ("none", "mean", "sum")  # what builtins take for reduction


def asked_reduction(average: Any, reduce: Any, given: str | int) -> str:
    """Of size_average and reduce, which are deprecated and win, and of reduction."""
    if average is not None or reduce is not None:
        if reduce is False:
            return "none"
        return "sum" if average is False else "mean"
    return given if isinstance(given, str) else NUMBERED[given]
