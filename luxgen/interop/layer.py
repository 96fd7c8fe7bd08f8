"""The interface of a layer, as in Lux: `ps, st = setup(rng, layer)`, `layer(x, ps, st)`.

Source of the meanings: https://lux.csail.mit.edu/stable/manual/interface and
https://lux.csail.mit.edu/stable/api/Building_Blocks/LuxCore
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from luxgen.errors import InputError
from luxgen.interop.losses import Loss, loss_and_gradient
from luxgen.interop.modes import testmode
from luxgen.interop.trees import Array, array_leaves, is_node, parts

Rng = int | np.random.Generator
Pullback = Callable[[Any], tuple[Any, ...]]


class Layer(ABC):
    """A pure function of inputs, parameters `ps` and state `st`; nothing is kept."""

    @abstractmethod
    def setup(self, rng: Rng) -> tuple[Any, Any]:
        """Initial parameters and state; the state starts in training mode."""

    @abstractmethod
    def __call__(self, *inputs: Any, **options: Any) -> tuple[Any, Any]:
        """`layer(x, ps, st) -> (y, st)`; more inputs come before `ps`.

        Optional inputs of forward are keywords. `x`, `ps` and `st` stay as they are.
        """

    @abstractmethod
    def vjp(self, *inputs: Any, **options: Any) -> tuple[Any, Any, Pullback]:
        """`layer.vjp(x, ps, st) -> (y, st, pullback)`, `pullback(dy) -> (dx, dps)`.

        `dy` has the structure of `y`. There is one cotangent per positional input,
        None for integers and bools; `dps` is a tree like `ps`.
        """

    @abstractmethod
    def ravel(self, ps: Any) -> Array:
        """All parameters as one vector (parameterlength,)."""

    @abstractmethod
    def unravel(self, vec: Array) -> Any:
        """Inverse of `ravel`; the leaves are views of `vec`."""

    @abstractmethod
    def state_dict(self, ps: Any, st: Any) -> dict[str, Any]:
        """Arrays by torch's names; loads into the torch module with strict=True."""

    @abstractmethod
    def from_state_dict(self, weights: Mapping[str, Any]) -> tuple[Any, Any]:
        """Inverse of `state_dict`; copies. Wrong names, shapes or dtypes are errors."""

    def value_and_grad(
        self, *inputs: Any, loss: Loss, **options: Any
    ) -> tuple[tuple[Any, Any], Any]:
        """`layer.value_and_grad(x, target, ps, st, loss="mse") -> ((loss, st), dps)`.

        `loss` is a name of `luxgen.LOSSES` or a function
        `(y, target) -> (loss, dloss/dy)`.
        """
        *xs, target, ps, st = inputs
        y, st, pullback = self.vjp(*xs, ps, st, **options)
        value, dy, _ = loss_and_gradient(loss, y, target)
        return (value, st), pullback(dy)[-1]

    def parameterlength(self) -> int:
        """How many numbers `ps` holds."""
        return parameterlength(self.setup(0)[0])

    def statelength(self) -> int:
        """How many values `st` holds."""
        return statelength(self.setup(0)[1])

    def example(self, shape: tuple[int, ...], place: int) -> Array:
        """Zeros for the input at `place`."""
        return np.zeros(shape, np.float32)


def setup(rng: Rng, layer: Layer) -> tuple[Any, Any]:
    """Parameters and state of a layer: Lux's `setup`.

    An int repeats `torch.manual_seed(rng)` before the model's constructor, bit by
    bit; a Generator is drawn from and advances.
    """
    if isinstance(rng, np.random.Generator):
        return layer.setup(rng)
    return layer.setup(operator.index(rng))


def parameterlength(layer_or_ps: Any) -> int:
    """The number of parameters of a layer or of a tree `ps`."""
    if hasattr(layer_or_ps, "parameterlength"):
        count: int = layer_or_ps.parameterlength()
        return count
    return sum(leaf.size for leaf in array_leaves(layer_or_ps))


def statelength(layer_or_st: Any) -> int:
    """The number of values in the state of a layer or in a tree `st`.

    As in Lux an array counts its size and anything else, such as `training`, 1; None,
    the place of a layer without state, counts nothing.
    """
    if hasattr(layer_or_st, "statelength"):
        count: int = layer_or_st.statelength()
        return count
    if is_node(layer_or_st):
        return sum(statelength(part) for _, part in parts(layer_or_st))
    if isinstance(layer_or_st, np.ndarray):
        return layer_or_st.size
    return 0 if layer_or_st is None else 1


def outputsize(layer: Layer, *inputs: Any, rng: Rng = 0) -> Any:
    """The sizes of the output without the batch, in the output's structure.

    `inputs` are arrays or shapes `(batch, ...)`. As in Lux the first dim (Lux: last)
    of an output of two dims and more is taken for the batch. Runs the layer once, in
    test mode.
    """
    ps, st = layer.setup(rng)
    xs = [
        layer.example(x, place) if _is_shape(x) else x for place, x in enumerate(inputs)
    ]
    y, _ = layer(*xs, ps, testmode(st))
    return _sizes(y)


def _is_shape(x: Any) -> bool:
    return isinstance(x, tuple) and all(isinstance(n, int) for n in x)


def _sizes(y: Any) -> Any:
    if isinstance(y, (tuple, list)):
        return tuple(_sizes(part) for part in y)
    if isinstance(y, dict):
        return {name: _sizes(part) for name, part in y.items()}
    if not isinstance(y, np.ndarray):
        raise InputError(f"the output holds a {type(y).__name__}, which has no size")
    return y.shape[1:] if y.ndim > 1 else y.shape
