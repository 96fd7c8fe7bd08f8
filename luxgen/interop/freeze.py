"""Parameters that training leaves as they are: a partition of `ps` by path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple, overload

from luxgen.errors import InputError
from luxgen.interop.layer import Layer, Pullback, Rng
from luxgen.interop.trees import (
    Array,
    Path,
    as_paths,
    below,
    find,
    map_leaves,
    ravel_tree,
    unravel_tree,
    walk,
)

Paths = str | Iterable[str] | None


class FrozenState(NamedTuple):
    """The state of a FrozenLayer."""

    frozen_params: Any
    states: Any


class FrozenLayer(Layer):
    """A layer of which only the parameters outside `paths` are trained.

    Its `ps` has None for each frozen leaf; these are in `st.frozen_params`, the inner
    layer's state in `st.states`. Made by `freeze`.
    """

    def __init__(self, layer: Layer, paths: Paths = None) -> None:
        self.layer = layer
        self.paths = None if paths is None else tuple(as_paths(paths))

    def __repr__(self) -> str:
        which = "all" if self.paths is None else ", ".join(self.paths)
        return f"FrozenLayer({self.layer!r}, frozen: {which})"

    def setup(self, rng: Rng) -> tuple[Any, FrozenState]:
        return self.split(*self.layer.setup(rng))

    def split(self, ps: Any, st: Any) -> tuple[Any, FrozenState]:
        """The inner layer's trees as this one's."""
        trained, frozen = _partition(ps, self.paths)
        return trained, FrozenState(frozen, st)

    def __call__(self, *inputs: Any, **options: Any) -> tuple[Any, FrozenState]:
        *xs, ps, st = inputs
        y, states = self.layer(
            *xs, _merge(ps, st.frozen_params), st.states, **options
        )  # fmt: skip
        return y, st._replace(states=states)

    def vjp(self, *inputs: Any, **options: Any) -> tuple[Any, FrozenState, Pullback]:
        *xs, ps, st = inputs
        whole = _merge(ps, st.frozen_params)
        y, states, inner = self.layer.vjp(*xs, whole, st.states, **options)

        def pullback(dy: Any) -> tuple[Any, ...]:
            *dxs, dps = inner(dy)
            return (*dxs, _partition(dps, self.paths)[0])

        return y, st._replace(states=states), pullback

    def ravel(self, ps: Any) -> Array:
        """The trained parameters as one vector."""
        return ravel_tree(ps)

    def unravel(self, vec: Array) -> Any:
        return unravel_tree(vec, self._like)

    @cached_property
    def _like(self) -> Any:
        """A tree like `ps`."""
        return self.setup(0)[0]

    def state_dict(self, ps: Any, st: FrozenState) -> dict[str, Any]:
        return self.layer.state_dict(_merge(ps, st.frozen_params), st.states)

    def from_state_dict(self, weights: Mapping[str, Any]) -> tuple[Any, FrozenState]:
        return self.split(*self.layer.from_state_dict(weights))

    def example(self, shape: tuple[int, ...], place: int) -> Array:
        return self.layer.example(shape, place)


@overload
def freeze(layer: Layer, paths: Paths = None) -> FrozenLayer: ...
@overload
def freeze(
    layer: Layer, ps: Any, st: Any, paths: Paths = None
) -> tuple[FrozenLayer, Any, FrozenState]: ...
@overload
def freeze(layer: Any, paths: Paths = None) -> tuple[Any, Any]: ...
def freeze(layer: Any, *rest: Any, **named: Any) -> Any:
    """Freeze the parameters at and below `paths`; all of them where it is None.

    freeze(layer, paths) -> FrozenLayer
    freeze(layer, ps, st, paths) -> (FrozenLayer, ps, st)   with the current values
    freeze(ps, paths) -> (trained, frozen)                  two trees like ps

    In both trees of the last the other's leaves are None. A path is `"conv1.weight"`,
    or a layer's name for all below it. InputError for a path that isn't in `ps` (Lux
    ignores it). Source: Lux.Experimental.freeze.
    """
    paths = named.pop("paths", None)
    if named:
        raise TypeError(f"freeze has no argument {', '.join(named)}")
    if not isinstance(layer, Layer):
        return _partition(layer, *(rest or (paths,)))
    if len(rest) >= 2:
        ps, st, *given = rest
        frozen = FrozenLayer(layer, *(given or (paths,)))
        return frozen, *frozen.split(ps, st)
    return FrozenLayer(layer, *(rest or (paths,)))


def unfreeze(layer: Any, *rest: Any) -> Any:
    """The inverse of `freeze`.

    unfreeze(frozen_layer) -> layer
    unfreeze(frozen_layer, ps, st) -> (layer, ps, st)
    unfreeze(trained, frozen) -> ps
    """
    if not isinstance(layer, FrozenLayer):
        return _merge(layer, *rest)
    if not rest:
        return layer.layer
    ps, st = rest
    return layer.layer, _merge(ps, st.frozen_params), st.states


def _partition(ps: Any, paths: Paths = None) -> tuple[Any, Any]:
    """The tree without what `paths` lead to, and the tree of only that."""
    roots: list[Path] = (
        [()] if paths is None else [find(ps, p) for p in as_paths(paths)]
    )
    trained = map_leaves(lambda path, p: None if below(path, roots) else p, ps)
    frozen = map_leaves(lambda path, p: p if below(path, roots) else None, ps)
    return trained, frozen


def _merge(trained: Any, frozen: Any) -> Any:
    """Each leaf from the tree in which it isn't None; InputError where both have it."""
    others = dict(walk(frozen))

    def chosen(path: Path, leaf: Any) -> Any:
        other = others.pop(path, None)
        if leaf is not None and other is not None:
            raise InputError(f"{'.'.join(path)} is both trained and frozen")
        return other if leaf is None else leaf

    merged = map_leaves(chosen, trained)
    left = [".".join(path) for path, leaf in others.items() if leaf is not None]
    if left:
        raise InputError(f"the trees differ: only the frozen one has {', '.join(left)}")
    return merged
