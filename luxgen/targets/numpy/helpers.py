"""The helper functions of luxgen/ops by name, as functions and as source text."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import luxgen.ops


@cache
def _modules() -> dict[str, ModuleType]:
    """Top-level names of luxgen/ops and the module that defines each."""
    owners: dict[str, ModuleType] = {}
    for info in sorted(m.name for m in pkgutil.iter_modules(luxgen.ops.__path__)):
        module = importlib.import_module(f"luxgen.ops.{info}")
        for node in ast.parse(inspect.getsource(module)).body:
            for name in _defined(node):
                if name in owners:
                    raise ValueError(f"helper {name!r} is defined twice: {info}")
                owners[name] = module
    return owners


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [t.id for t in node.targets if isinstance(t, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def helper_names() -> frozenset[str]:
    return frozenset(_modules())


def helper_function(name: str) -> Callable[..., Any]:
    """The helper as a Python function; KeyError if no family defines it."""
    function: Callable[..., Any] = getattr(_modules()[name], name)
    return function


def helper_module(name: str) -> ModuleType:
    return _modules()[name]
