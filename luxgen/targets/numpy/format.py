"""Layout of generated text: ruff, the pinned version, sorts imports and formats."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib import import_module

from luxgen.errors import InputError

_OPTIONS = ("--isolated", "--no-cache", "--line-length=88")


def ruff_format(text: str) -> str:
    """Sort imports, drop unused ones and lay the text out at 88 columns.

    Raises InputError without ruff, ValueError where the text isn't Python.
    """
    text = _ruff("check", "--select=I,F401", "--fix-only", text=text)
    return _ruff("format", text=text)


def _ruff(command: str, *options: str, text: str) -> str:
    target = ("--target-version=py311", "-")
    done = subprocess.run(
        [_binary(), command, *_OPTIONS, *options, *target],
        input=text.encode(),
        capture_output=True,
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        raise ValueError(f"ruff {command} refused the text: {reason}")
    return done.stdout.decode()


@cache
def _binary() -> str:
    try:
        return str(import_module("ruff").find_ruff_bin())
    except (ImportError, FileNotFoundError) as error:
        raise InputError(
            "ruff formats the generated module and isn't installed: pip install ruff"
        ) from error
