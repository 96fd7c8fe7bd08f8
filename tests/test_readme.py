"""README.md shows real output: its blocks are what the script makes."""

from __future__ import annotations

import re

from tests.readme import README, rendered


def test_blocks_are_current() -> None:
    text = README.read_text()
    assert _steady(rendered(text)) == _steady(text), "run python -m tests.readme"


def _steady(text: str) -> str:
    """Without rounding errors, which another CPU's libraries round otherwise."""
    return re.sub(r"\b\d\.\de[-+]\d\d\b", "#", text)


def test_commands_pin_torch() -> None:
    """Without the pin pip fetches gigabytes of CUDA."""
    lines = [line for line in README.read_text().splitlines() if "pip install" in line]
    assert len(lines) >= 2 and all("torch==2.13.0" in line for line in lines)
