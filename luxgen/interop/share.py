"""Parameters in several places that are one: weight tying."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from luxgen.errors import InputError
from luxgen.interop.trees import Path, below, find, get, map_leaves, put, walk


def share_parameters(
    ps: Any,
    sharing: Iterable[Sequence[str]],
    new_parameters: Sequence[Any] | None = None,
) -> Any:  # fmt: skip
    """`ps` in which the places of each group hold the very same arrays.

    `sharing` is a list of groups of paths, to leaves or layers: each group takes the
    values at its first path, or those of `new_parameters`, one per group. A TrainState
    keeps such leaves one: their gradients are summed and they are updated once.
    InputError where groups overlap or their parts differ in structure or shape.
    Source: Lux.Experimental.share_parameters.
    """
    groups = [[find(ps, path) for path in group] for group in sharing]
    _require_disjoint([path for group in groups for path in group])
    if new_parameters is None:
        new_parameters = [get(ps, group[0]) for group in groups if group]
    if len(new_parameters) != len(groups):
        raise InputError(
            f"{len(groups)} groups and {len(new_parameters)} new parameters"
        )
    for group, value in zip(groups, new_parameters, strict=True):
        for path in group:
            _require_alike(path, get(ps, path), value)
            ps = put(ps, path, value)
    return ps


def summed_over_ties(ps: Any, grads: Any) -> Any:
    """Gradients in which all places of one array in `ps` have the sum of theirs."""
    ties = _ties(ps)
    if not ties:
        return grads
    by_path = dict(walk(grads))
    for group in ties:
        given = [by_path[path] for path in group if by_path[path] is not None]
        total = sum(given[1:], start=given[0]) if given else None
        by_path |= dict.fromkeys(group, total)
    return map_leaves(lambda path, _: by_path[path], grads)


def tied_again(before: Any, after: Any) -> Any:
    """`after`, in which what was one array in `before` is one again."""
    for group in _ties(before):
        value = get(after, group[0])
        for path in group[1:]:
            after = put(after, path, value)
    return after


def _ties(ps: Any) -> list[list[Path]]:
    places: dict[int, list[Path]] = {}
    for path, leaf in walk(ps):
        if isinstance(leaf, np.ndarray):
            places.setdefault(id(leaf), []).append(path)
    return [group for group in places.values() if len(group) > 1]


def _require_disjoint(paths: list[Path]) -> None:
    for k, path in enumerate(paths):
        for other in paths[:k]:
            if below(path, [other]) or below(other, [path]):
                both = f"{'.'.join(other)} and {'.'.join(path)}"
                raise InputError(f"the places to share overlap: {both}")


def _require_alike(path: Path, old: Any, new: Any) -> None:
    found, wanted = _shapes(new), _shapes(old)
    if found != wanted:
        raise InputError(
            f"{'.'.join(path)} can't take these parameters: "
            f"it has {_shown(wanted)}, they have {_shown(found)}"
        )


def _shapes(tree: Any) -> list[tuple[Path, Any]]:
    return [
        (path, (leaf.shape, leaf.dtype.name) if _is_array(leaf) else leaf)
        for path, leaf in walk(tree)
    ]


def _shown(shapes: list[tuple[Path, Any]]) -> str:
    listed = (f"{'.'.join(p)} {s[0]} {s[1]}".strip() for p, s in shapes if s)
    return ", ".join(listed) or "no arrays"


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray)
