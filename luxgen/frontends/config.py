"""Reads [tool.luxgen.models.NAME] from the nearest pyproject.toml."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luxgen.errors import InputError
from luxgen.file_names import snake_case
from luxgen.frontends.source_file import display_path, split_target

# What a model's table may hold. Paths count from the pyproject.toml's folder.
KEYS: dict[str, type | tuple[type, ...]] = {
    "source": str,  # "models/lenet.py" or "models/lenet.py:LeNet5"
    "init": (str, dict),  # as --init, or a table of keyword arguments
    "grad": bool,
    "inputs": list,  # as --input, one string each
    "loss": str,
    "name": str,
    "output": str,
    "target": str,
    "verify": bool,
    "weights": str,
}
_PATHS = {"output", "source", "weights"}


@dataclass(frozen=True)
class Models:
    """The tables of one pyproject.toml, by name, and the folder it is in."""

    folder: Path
    tables: Mapping[str, dict[str, Any]]


def find_models(start: Path) -> Models:
    """The tables of the first pyproject.toml in `start` or a folder above it."""
    for folder in (start.absolute(), *start.absolute().parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            return Models(folder, _read(path))
    return Models(start.absolute(), {})


def model_config(path: Path, symbol: str) -> dict[str, Any]:
    """The table meant for the class or factory `symbol` of the file `path`.

    It is the one whose `source` is the file (and class), else, of those without
    `source`, the one whose NAME is the symbol, its snake_case or the file's stem.
    Paths in it are made absolute. {} if there is none.
    """
    models = find_models(path.parent)
    by_name: dict[str, Any] = {}
    for name, table in models.tables.items():
        if "source" in table:
            source, wanted = split_target(table["source"])
            same = (models.folder / source).resolve() == path.resolve()
            if same and wanted in (None, symbol):
                return _absolute(table, models.folder)
        elif name in {symbol, snake_case(symbol), path.stem}:
            by_name = by_name or _absolute(table, models.folder)
    return by_name


def named_config(name: str, start: Path) -> dict[str, Any] | None:
    """The table [tool.luxgen.models.NAME], if there is one and it has a `source`."""
    models = find_models(start)
    table = models.tables.get(name, {})
    return _absolute(table, models.folder) if "source" in table else None


def _absolute(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {
        key: str(folder / value) if key in _PATHS else value
        for key, value in table.items()
    }


def _read(path: Path) -> dict[str, dict[str, Any]]:
    shown = display_path(path)
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"can't read {shown}: {error}") from error
    tables: Any = content
    for key in ("tool", "luxgen", "models"):
        tables = tables.get(key, {})
        if not isinstance(tables, dict):
            raise InputError(f"{shown}: {key} must be a table")
    for name, table in tables.items():
        _check(f"{shown}: [tool.luxgen.models.{name}]", table)
    return dict(tables)


def _check(place: str, table: object) -> None:
    if not isinstance(table, dict):
        raise InputError(f"{place} must be a table")
    for key, value in table.items():
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, 1)
            meant = f"; did you mean {near[0]!r}" if near else ""
            raise InputError(f"{place} has the unknown key {key!r}{meant}")
        if not isinstance(value, KEYS[key]):
            raise InputError(f"{place}: {key} has the wrong type: {value!r}")
    if not all(isinstance(item, str) for item in table.get("inputs", [])):
        raise InputError(f'{place}: inputs must hold strings: "x: float32[batch, 8]"')
