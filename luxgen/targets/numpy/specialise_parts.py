"""Classes, constants and imports that the kept helpers need."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from luxgen.targets.numpy.helpers import helper_names
from luxgen.targets.numpy.specialise_library import (
    GIVEN_BY_MODULE,
    HELPERS,
    definition,
    origin,
)

Imports = dict[str, set[str]]

# Written in full in luxgen/ops, imported by name in a module.
_SHORT = {
    "np.lib.stride_tricks.sliding_window_view": (
        "numpy.lib.stride_tricks",
        "sliding_window_view",
    ),
}


def parts_of(
    text: str, extra: Iterable[str], functions: Mapping[str, str]
) -> tuple[list[str], list[str], list[str], Imports]:
    """Classes, constants, functions and imports.

    Classes and constants come in the order of first use, each after what it uses.
    """
    found: dict[str, str] = {}
    taken = _defined(text)

    def visit(name: str) -> None:
        if name in found or name in HELPERS or name not in _others() or name in taken:
            return
        for used in _names(definition(name)):
            if used != name:
                visit(used)
        found[name] = definition(name)

    for name in [*extra, *_names(text)]:
        visit(name)
    for function in functions.values():
        for name in _names(function):
            visit(name)
    imports: Imports = {}
    for owner, piece in {**functions, **found}.items():
        _add_imports(owner, piece, imports)
    texts = [_shortened(piece, imports) for piece in functions.values()]
    classes = [
        t for t in found.values() if isinstance(ast.parse(t).body[0], ast.ClassDef)
    ]
    constants = [t for t in found.values() if t not in classes]
    return classes, constants, texts, imports


def _shortened(text: str, imports: Imports) -> str:
    for long, (module, name) in _SHORT.items():
        if long in text:
            text = text.replace(long, name)
            imports.setdefault(module, set()).add(name)
    return text


def _others() -> frozenset[str]:
    return helper_names() - GIVEN_BY_MODULE


def _defined(text: str) -> set[str]:
    """Names that the module itself defines at its top level."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {n.name for n in ast.parse(text).body if isinstance(n, kinds)}


def _names(text: str) -> list[str]:
    """Names that the text reads, in order."""
    nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)]
    nodes.sort(key=lambda n: (n.lineno, n.col_offset))
    return list(dict.fromkeys(n.id for n in nodes if isinstance(n.ctx, ast.Load)))


def _add_imports(owner: str, piece: str, imports: Imports) -> None:
    for name in _names(piece):
        if name == "Literal":
            imports.setdefault("typing", set()).add(name)
        source = origin(owner, name)
        if source is None or source[0].startswith("luxgen.") or source == ("numpy", ""):
            continue
        imports.setdefault(source[0], set()).add(source[1])
