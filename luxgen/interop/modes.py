"""Changes of a state by field name: train mode, test mode, any other key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from luxgen.errors import InputError
from luxgen.interop.trees import (
    Path,
    as_paths,
    below,
    find,
    is_node,
    parts,
    rebuilt,
)


def trainmode(st: Any) -> Any:
    """`st` with every `training` field True: Lux's `trainmode`, `nn.Module.train`.

    Also of a StatefulLayer, which it returns anew. A state without such a field stays
    as it is.
    """
    return _in_mode(st, True)


def testmode(st: Any) -> Any:
    """`st` with every `training` field False: Lux's `testmode`, `nn.Module.eval`."""
    return _in_mode(st, False)


def update_state(
    st: Any, key: str, value: Any, *, layer: str | Iterable[str] | None = None
) -> Any:
    """`st` with `value` in every field called `key`: Lux's `update_state`.

    `layer` is a path or several (`"layer1.0.bn1"`) to which the change is limited, as
    when BatchNorm stays frozen while fine-tuning. Raises InputError where there is no
    such layer, or no such field in it.
    """
    roots: list[Path] = (
        [()] if layer is None else [find(st, path) for path in as_paths(layer)]
    )
    changed, count = _updated(st, key, value, roots, ())
    if count == 0:
        where = "the state" if layer is None else ", ".join(as_paths(layer))
        raise InputError(f"no field {key!r} in {where}")
    return changed


def _in_mode(st: Any, training: bool) -> Any:
    if hasattr(st, "with_state"):
        return st.with_state(_in_mode(st.st, training))
    return _updated(st, "training", training, [()], ())[0]


def _updated(
    tree: Any, key: str, value: Any, roots: list[Path], path: Path
) -> tuple[Any, int]:
    """The changed tree, and how many fields were."""
    if not is_node(tree):
        return tree, 0
    new, count = [], 0
    for name, part in parts(tree):
        here = (*path, name)
        if name == key and below(here, roots):
            new.append(value)
            count += 1
        else:
            changed, inside = _updated(part, key, value, roots, here)
            new.append(changed)
            count += inside
    return rebuilt(tree, new), count


testmode.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it
