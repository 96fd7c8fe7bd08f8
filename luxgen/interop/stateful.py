"""A layer that keeps its parameters and state."""

from __future__ import annotations

from typing import Any

from luxgen.interop.layer import Layer, Pullback, parameterlength, statelength

_OWN: Any = object()


class StatefulLayer:
    """`s = StatefulLayer(layer, ps, st)`; `y = s(x)` and `s.st` is the new state.

    Lux's StatefulLuxLayer, for code that can't pass the state on, such as an ODE
    solver's right-hand side. It is not a layer itself. With `ps=None` the parameters
    are passed with each call: `s(x, ps=ps)`.
    Source: https://lux.csail.mit.edu/stable/api/Lux/utilities
    """

    def __init__(self, layer: Layer, ps: Any, st: Any) -> None:
        self.layer = layer
        self.ps = ps
        self.st = st

    def __repr__(self) -> str:
        return f"StatefulLayer({self.layer!r})"

    def __call__(self, *inputs: Any, ps: Any = _OWN, **options: Any) -> Any:
        """The output; `st` becomes the state after the call."""
        y, self.st = self.layer(*inputs, self._given(ps), self.st, **options)
        return y

    def vjp(
        self, *inputs: Any, ps: Any = _OWN, **options: Any
    ) -> tuple[Any, Pullback]:  # fmt: skip
        """`y, pullback = s.vjp(x)`; `pullback(dy) -> (dx, dps)`."""
        held = self._given(ps)
        y, self.st, pullback = self.layer.vjp(*inputs, held, self.st, **options)
        return y, pullback

    def with_state(self, st: Any) -> StatefulLayer:
        """The same layer and parameters with another state."""
        return StatefulLayer(self.layer, self.ps, st)

    def parameterlength(self) -> int:
        return parameterlength(self.layer if self.ps is None else self.ps)

    def statelength(self) -> int:
        return statelength(self.st)

    def _given(self, ps: Any) -> Any:
        return self.ps if ps is _OWN else ps
