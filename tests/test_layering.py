"""Imports follow the data: front end -> IR -> passes -> target -> verify."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "luxgen"
# What each part may import of luxgen, besides errors, files and names.
ALLOWED = {
    "ops": {"ops"},
    "ir": {"ir"},
    "passes": {"passes", "ir", "frontends.records"},
    "frontends": {"frontends", "ir", "passes"},
    "targets": {"targets", "ir", "ops", "passes"},
    "verify": {"verify", "ir", "frontends"},
}
SHARED = {"errors", "files", "file_names", "safetensors_file", "templates_path"}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.removeprefix("luxgen.") for name in found if name.startswith("luxgen")}


FILES = [p for part in ALLOWED for p in sorted((PACKAGE / part).rglob("*.py"))]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0]
    for name in imports(path):
        allowed = {*ALLOWED[part], *SHARED}
        assert any(name == a or name.startswith(a + ".") for a in allowed), name


def test_writers_never_see_torch() -> None:
    """Targets, passes, ops and the IR work without torch."""
    for part in ("ops", "ir", "targets"):
        for path in (PACKAGE / part).rglob("*.py"):
            tree = ast.parse(path.read_text())
            names = {
                a.name
                for n in ast.walk(tree)
                if isinstance(n, ast.Import)
                for a in n.names
            }
            names |= {
                n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)
            }
            assert not any(n.split(".")[0] == "torch" for n in names), path


def test_no_file_is_over_600_lines() -> None:
    root = PACKAGE.parent
    for path in (*PACKAGE.rglob("*.py"), *(root / "tests").rglob("*.py")):
        assert len(path.read_text().splitlines()) <= 600, path
