"""Gradients of several leaves: trees like `ps`."""

from __future__ import annotations

from typing import Any

import numpy as np


def zeros_of(tree: Any) -> Any:
    """A tree like `tree` with zeros for its arrays."""
    if isinstance(tree, tuple):
        parts = [zeros_of(part) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return None if tree is None else np.zeros_like(tree)


def add_trees(a: Any, b: Any) -> Any:
    """The sum of two gradients of one module that is used twice."""
    if isinstance(a, tuple):
        parts = [add_trees(x, y) for x, y in zip(a, b, strict=True)]
        return type(a)(*parts) if hasattr(a, "_fields") else tuple(parts)
    return None if a is None else a + b
