"""Places in the user's source, as errors show them."""

from __future__ import annotations

import linecache
import os
from types import FrameType

from luxgen.errors import Site


def site_at(frame: FrameType | None, reason: str, suggestion: str) -> Site:
    """The statement that `frame` is at, with the columns Python knows for it."""
    if frame is None:
        return Site("<unknown>", 0, "", 0, 0, reason, suggestion)
    file = frame.f_code.co_filename
    start, end = _columns(frame)
    source = linecache.getline(file, frame.f_lineno).rstrip("\n")
    end = end if end > start else len(source)
    shown = os.path.relpath(file) if os.path.isabs(file) else file
    shown = file if shown.startswith("..") else shown
    return Site(shown, frame.f_lineno, source, start, end, reason, suggestion)


def site_on(line: tuple[str, int], reason: str, suggestion: str) -> Site:
    """A whole source line."""
    file, number = line
    source = linecache.getline(file, number).rstrip("\n") if number else ""
    start = len(source) - len(source.lstrip())
    shown = os.path.relpath(file) if os.path.isabs(file) else file or "<unknown>"
    shown = file if shown.startswith("..") else shown
    return Site(shown, number, source, start, len(source), reason, suggestion)


def _columns(frame: FrameType) -> tuple[int, int]:
    """Columns of the instruction being run (PEP 657), in characters of its line."""
    positions = list(frame.f_code.co_positions())
    index = frame.f_lasti // 2
    if frame.f_lasti < 0 or index >= len(positions):
        return 0, 0
    line, end_line, start, end = positions[index]
    if line != frame.f_lineno or end_line != line or start is None or end is None:
        return 0, 0
    return start, end
