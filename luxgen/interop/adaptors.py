"""From torch models to layers of Lux's interface: `adapt` and FromTorchAdaptor."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn
from torch.utils import _pytree as pytree

from luxgen.api import Generated, transpile
from luxgen.errors import UnsupportedError, VerificationError
from luxgen.interop.example_inputs import inferred_inputs
from luxgen.interop.layer import Layer
from luxgen.interop.numpy_layer import NumpyLayer
from luxgen.interop.torch_layer import TorchLayer

Made = TypeVar("Made", bound=Layer)
_SHOWN = 8


def adapt(
    adaptor: Callable[..., Made],
    model: Any,
    *example_inputs: Any,
    **example_options: Any,
) -> Made:
    """`adaptor(model, *example_inputs)`: Lux's `Adapt.adapt(adaptor, model)`."""
    return adaptor(model, *example_inputs, **example_options)


@dataclass(frozen=True)
class FromTorchAdaptor:
    """Translates a torch model into a layer: Lux's FromFluxAdaptor.

    `FromTorchAdaptor()(model, *example_inputs)` generates a NumPy module, verifies it
    against torch in both modes, and returns it as a NumpyLayer with gradients. A
    sequence of modules is taken for `nn.Sequential` of them. Example inputs (arrays or
    tensors with a batch of 2 or more, keywords for forward's options) may be left out
    where they can be inferred with certainty.

    preserve_ps_st: `setup(rng, layer)` returns the model's own parameters and state,
        running statistics and RNNs' weights included, instead of drawing them anew as
        the model's layers do. Where something can't be kept (what get_extra_state
        returns, as it isn't a tensor) a warning says so.
    force_preserve: a model that can't be translated, or with preserve_ps_st one of
        which something can't be kept, becomes a TorchLayer: torch at run time, with
        the model's own parameters whatever preserve_ps_st says. The former warns.

    Without force_preserve a model that can't be translated raises UnsupportedError
    with every place in its source. The `training` flags of the model and its layers
    are ignored, as Lux ignores `active`, and so is `requires_grad`: the state starts
    in training mode, and trainmode, testmode, update_state and freeze decide.
    Source: https://lux.csail.mit.edu/stable/api/Lux/interop
    """

    preserve_ps_st: bool = False
    force_preserve: bool = False

    def __call__(
        self,
        model: nn.Module | Sequence[nn.Module],
        *example_inputs: Any,
        **example_options: Any,
    ) -> NumpyLayer | TorchLayer:
        """The layer; InputError where the inputs are needed and aren't given."""
        if not isinstance(model, nn.Module):
            model = nn.Sequential(*model)
        lost = _not_kept(model) if self.preserve_ps_st else []
        if lost and self.force_preserve:
            return TorchLayer(model)
        try:
            generated, no_vjp = _translated(model, example_inputs, example_options)
        except (UnsupportedError, VerificationError) as error:
            if self.force_preserve:
                name = type(model).__name__
                _warn(f"torch runs {name}, with the parameters it has, because {error}")
                return TorchLayer(model)
            error.add_note("FromTorchAdaptor(force_preserve=True) runs it with torch")
            raise
        if lost:
            _warn(f"not kept, as it isn't a tensor: the extra state of {_listed(lost)}")
        if not self.preserve_ps_st and generated.stored:
            names = _listed(list(generated.stored))
            _warn(f"not drawn anew, as no layer of torch draws it: {names}")
        return NumpyLayer(
            generated.load(),
            weights=generated.weights if self.preserve_ps_st else None,
            source=generated.source,
            no_vjp=no_vjp,
        )


def _translated(
    model: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]
) -> tuple[Generated, str]:
    """The verified module, and why it has no gradients, if so."""
    if inputs or options:
        args, kwargs = pytree.tree_map(_tensor, (inputs, options))
    else:
        args, kwargs = inferred_inputs(model)
    try:
        return transpile(model, args, kwargs, grad=True), ""
    except (UnsupportedError, VerificationError) as error:  # maybe of the gradients
        return transpile(model, args, kwargs), str(error)


def _tensor(item: Any) -> Any:
    array = isinstance(item, (np.ndarray, np.generic))
    return torch.tensor(item) if array else item


def _not_kept(model: nn.Module) -> list[str]:
    """Modules whose state_dict holds more than tensors."""
    kept = model.state_dict(keep_vars=True).items()
    lost = [name for name, value in kept if not isinstance(value, torch.Tensor)]
    return [
        name.removesuffix("_extra_state").rstrip(".") or "the model" for name in lost
    ]


def _warn(message: str) -> None:
    """Warn at the line outside luxgen that called, by `adapt` or not."""
    level, frame = 1, inspect.currentframe()
    while frame and frame.f_globals["__name__"].startswith("luxgen."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
