"""Trees of parameters and states: NamedTuples, tuples and dicts of arrays.

A path is the field names and indices from the root, joined by dots: `layer1.0.weight`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from luxgen.errors import InputError
from luxgen.ir.tree import field_names

Array = np.ndarray[Any, Any]
Path = tuple[str, ...]


def is_node(tree: Any) -> bool:
    """Whether `tree` has parts; everything else is a leaf."""
    return isinstance(tree, (tuple, dict))


def parts(tree: Any) -> list[tuple[str, Any]]:
    """The names and parts of a node."""
    if isinstance(tree, dict):
        return list(tree.items())
    fields = getattr(tree, "_fields", None)
    return list(zip(fields or map(str, range(len(tree))), tree, strict=True))


def rebuilt(tree: Any, values: Iterable[Any]) -> Any:
    """A node like `tree` with other parts."""
    if isinstance(tree, dict):
        return dict(zip(tree, values, strict=True))
    return type(tree)(*values) if hasattr(tree, "_fields") else tuple(values)


def walk(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf with its path, in order."""
    if is_node(tree):
        for name, part in parts(tree):
            yield from walk(part, (*path, name))
    else:
        yield path, tree


def map_leaves(
    f: Callable[[Path, Any], Any], tree: Any, path: Path = ()
) -> Any:  # fmt: skip
    """The tree with `f(path, leaf)` for each leaf."""
    if not is_node(tree):
        return f(path, tree)
    new = [map_leaves(f, part, (*path, name)) for name, part in parts(tree)]
    return rebuilt(tree, new)


def array_leaves(tree: Any) -> list[Array]:
    """All arrays, in order: what `ravel` joins."""
    return [leaf for _, leaf in walk(tree) if isinstance(leaf, np.ndarray)]


def ravel_tree(tree: Any) -> Array:
    """All arrays as one vector (n,); of float32 where there are none."""
    flat = [leaf.ravel() for leaf in array_leaves(tree)]
    return np.concatenate(flat) if flat else np.zeros(0, np.float32)


def unravel_tree(vec: Array, like: Any) -> Any:
    """A tree like `like` whose arrays are views of `vec`; InputError by size."""
    wanted = sum(leaf.size for leaf in array_leaves(like))
    if vec.shape != (wanted,):
        raise InputError(f"the vector must have shape ({wanted},), not {vec.shape}")
    start = 0

    def take(_: Path, leaf: Any) -> Any:
        nonlocal start
        if not isinstance(leaf, np.ndarray):
            return leaf
        start += leaf.size
        return vec[start - leaf.size : start].reshape(leaf.shape)

    return map_leaves(take, like)


def find(tree: Any, path: str) -> Path:
    """The names that lead to `path`, which may be a torch name: `0.weight`, `d.a-b`.

    Raises InputError that lists what there is, for a path that leads nowhere.
    """
    found: Path = ()
    at = tree
    for word in path.split("."):
        choices = dict(parts(at)) if is_node(at) else {}
        name = word if word in choices else _field_of(word, choices)
        if name is None:
            where = ".".join(found) or "the tree"
            listed = ", ".join(choices) or "no parts"
            raise InputError(f"no {path!r}: {where} has {listed}")
        found, at = (*found, name), choices[name]
    return found


def get(tree: Any, path: Path) -> Any:
    """The part of the tree at a path that `find` returned."""
    for name in path:
        tree = dict(parts(tree))[name]
    return tree


def put(tree: Any, path: Path, value: Any) -> Any:
    """The tree with another part at the path."""
    if not path:
        return value
    new = [
        put(part, path[1:], value) if name == path[0] else part
        for name, part in parts(tree)
    ]
    return rebuilt(tree, new)


def below(path: Path, roots: Iterable[Path]) -> bool:
    """Whether `path` is one of `roots` or inside one."""
    return any(path[: len(root)] == root for root in roots)


def as_paths(paths: str | Iterable[str]) -> list[str]:
    """One path or several."""
    return [paths] if isinstance(paths, str) else list(paths)


def _field_of(word: str, choices: dict[str, Any]) -> str | None:
    """The field in which a generated module keeps what torch calls `word`."""
    field = field_names({word: None})[word]
    if f"{field}_2" in choices:  # two of torch's names are spelled alike
        raise InputError(
            f"{word!r} may be any of {', '.join(choices)}: use one of them"
        )
    return field if field in choices else None
