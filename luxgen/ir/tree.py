"""The trees `ps` and `st`: NamedTuples and tuples of leaves, by module path."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from dataclasses import dataclass, field

from luxgen.ir.values import Leaf

Path = tuple[str, ...]


@dataclass(eq=False)
class Tree:
    """One module's part of a tree.

    `children` are Trees or leaves by torch's name; `sequence` says that it is a
    tuple with `length` places (ModuleList, Sequential), of which those without
    leaves hold None. `kind` is the run-time class that a layer's state has
    ("BatchNormState", "DropoutState", "NoiseState"), `layer` torch's class name;
    `optional` that other instances of its parent's class lack it.
    """

    path: Path
    layer: str = ""
    children: dict[str, Tree | Leaf | Flag | Absent] = field(default_factory=dict)
    sequence: bool = False
    length: int = 0
    kind: str = ""
    optional: bool = False

    def at(self, path: Path) -> Tree | Leaf | Flag | Absent:
        here: Tree | Leaf | Flag | Absent = self
        for name in path:
            assert isinstance(here, Tree)
            here = here.children[name]
        return here


@dataclass(frozen=True)
class Absent:
    """A child that this instance lacks and others of its class have, like `like`."""

    like: Tree


@dataclass(frozen=True)
class Flag:
    """The `training` field of a module that reads its own mode."""


def leaves_of(tree: Tree | Leaf | Flag | Absent) -> Iterator[Leaf]:
    """Leaves in the order of the tree's fields: `ravel`'s order."""
    if isinstance(tree, Leaf):
        yield tree
    elif isinstance(tree, Tree):
        for child in tree.children.values():
            yield from leaves_of(child)


def field_names(children: dict[str, object]) -> dict[str, str]:
    """A stable, collision-free identifier for each child of a module.

    A name that is no identifier, a keyword, private or one of NamedTuple's own is
    spelled out: "0" -> "_0" isn't allowed in a NamedTuple, so "n0".
    """
    names: dict[str, str] = {}
    for child in children:
        name = child if child.isidentifier() and child.isascii() else _spelled(child)
        if keyword.iskeyword(name) or name in _TAKEN:
            name += "_"
        name = name.lstrip("_") or "n"
        if not name.isidentifier() or keyword.iskeyword(name):
            name = f"n{name}"
        base, count = name, 1
        while name in names.values():
            count += 1
            name = f"{base}_{count}"
        names[child] = name
    return names


_TAKEN = frozenset({"count", "index", "None", "True", "False"})


def _spelled(name: str) -> str:
    kept = "".join(
        c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name
    )
    return f"n{kept}" if not kept or kept[0].isdigit() else kept
