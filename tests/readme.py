"""Regenerate the blocks of README.md: `python -m tests.readme`; a test compares."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
_PROGRESS = re.compile(r"luxgen: .* \.\.\.")  # of steps that took over a second
_BLOCK = re.compile(r"<!-- BEGIN (.+?) -->\n.*?<!-- END -->", re.S)


def rendered(text: str) -> str:
    """`text` with every block made anew by what its first line says."""
    return _BLOCK.sub(
        lambda m: f"<!-- BEGIN {m[1]} -->\n{_block(m[1])}<!-- END -->", text
    )


def _block(what: str) -> str:
    kind, _, rest = what.partition(": ")
    if kind == "source":
        return _source(rest)
    if kind == "command":
        return _command(rest)
    return _lines()


def _source(what: str) -> str:
    """Classes or functions of a file, or of the one generated module of a folder."""
    place, _, *names = what.split()
    path = ROOT / place
    if path.is_dir():
        path = next(
            p
            for p in sorted(path.glob("*.py"))
            if p.name != "model.py" and not p.stem.endswith("_train")
        )
    text = path.read_text()
    nodes = {
        n.name: n
        for n in ast.parse(text).body
        if isinstance(n, (ast.FunctionDef, ast.ClassDef))
    }
    parts = [ast.get_source_segment(text, nodes[name]) for name in names]
    body = "\n\n\n".join(p for p in parts if p)
    return f"```python\n{body}\n```\n"


def _command(command: str) -> str:
    """What a command says on stderr; its own files aren't written."""
    words = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True)
    lines = done.stderr.strip().splitlines()
    kept = [line for line in lines if not _PROGRESS.fullmatch(line)]
    return "\n".join(["```", f"$ {command}", *kept, "```", ""])


def _lines() -> str:
    rows = ["| case | model.py | module |", "|---|---|---|"]
    for folder in sorted(p for p in (ROOT / "golden").iterdir() if p.is_dir()):
        module = next(
            p
            for p in sorted(folder.glob("*.py"))
            if p.name != "model.py" and not p.stem.endswith("_train")
        )
        counts = [
            len(p.read_text().splitlines()) for p in (folder / "model.py", module)
        ]
        rows.append(f"| {folder.name} | {counts[0]} | {counts[1]} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    README.write_text(rendered(README.read_text()))
