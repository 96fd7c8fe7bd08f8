"""A generated module as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from luxgen.errors import InputError
from luxgen.interop.layer import Layer, Pullback, Rng
from luxgen.interop.losses import Loss
from luxgen.interop.trees import Array


class NumpyLayer(Layer):
    """A module that luxgen wrote, behind Lux's interface; needs no torch.

    `import lenet5; layer = luxgen.NumpyLayer(lenet5)`. With `weights`, a state_dict,
    `setup` returns these instead of drawing.
    """

    def __init__(
        self,
        module: ModuleType,
        *,
        weights: Mapping[str, Any] | None = None,
        source: str = "",
        no_vjp: str = "",
    ) -> None:
        """`source` is the module's text; `no_vjp` says why it has no gradients."""
        self.module = module
        self.weights = weights
        self.source = source
        self._no_vjp = no_vjp or "the module was generated without --grad"

    def __repr__(self) -> str:
        name = self.module.__name__.removeprefix("luxgen_")
        return f"NumpyLayer({name}, {self.parameterlength():,} parameters)"

    def setup(self, rng: Rng) -> tuple[Any, Any]:
        if self.weights is None:
            drawn: tuple[Any, Any] = self.module.setup(rng)
            return drawn
        if "seed" not in inspect.signature(self.module.from_state_dict).parameters:
            return self.from_state_dict(self.weights)
        seed = rng if isinstance(rng, int) else int(rng.integers(2**63))
        kept: tuple[Any, Any] = self.module.from_state_dict(self.weights, seed=seed)
        return kept

    def __call__(self, *inputs: Any, **options: Any) -> tuple[Any, Any]:
        result: tuple[Any, Any] = self.module.apply(*inputs, **options)
        return result

    def vjp(self, *inputs: Any, **options: Any) -> tuple[Any, Any, Pullback]:
        if not hasattr(self.module, "vjp"):
            raise InputError(f"{self!r} has no gradients: {self._no_vjp}")
        result: tuple[Any, Any, Pullback] = self.module.vjp(*inputs, **options)
        return result

    def value_and_grad(
        self, *inputs: Any, loss: Loss | None = None, **options: Any
    ) -> tuple[tuple[Any, Any], Any]:
        """As of any layer; without `loss`, by the loss the module was written with."""
        if loss is not None:
            return super().value_and_grad(*inputs, loss=loss, **options)
        if not hasattr(self.module, "value_and_grad"):
            raise InputError(f"{self!r} was generated without a loss: pass loss=NAME")
        result: tuple[tuple[Any, Any], Any]
        result = self.module.value_and_grad(*inputs, **options)
        return result

    def ravel(self, ps: Any) -> Array:
        vec: Array = self.module.ravel(ps)
        return vec

    def unravel(self, vec: Array) -> Any:
        if vec.shape != (self.parameterlength(),):
            wanted = self.parameterlength()
            raise InputError(f"the vector must have shape ({wanted},), not {vec.shape}")
        return self.module.unravel(vec)

    def state_dict(self, ps: Any, st: Any) -> dict[str, Any]:
        held: dict[str, Any] = self.module.state_dict(ps, st)
        return held

    def from_state_dict(self, weights: Mapping[str, Any]) -> tuple[Any, Any]:
        trees: tuple[Any, Any] = self.module.from_state_dict(weights)
        return trees

    def parameterlength(self) -> int:
        count: int = self.module.NUM_PARAMETERS
        return count

    def example(self, shape: tuple[int, ...], place: int) -> Array:
        inputs = list(self.module.INPUTS.values())
        kind = inputs[place][0] if place < len(inputs) else "float32"
        return np.zeros(shape, kind if isinstance(kind, str) else "float32")
