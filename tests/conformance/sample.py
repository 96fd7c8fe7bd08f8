"""Transpile one live module, execute its text and compare it with torch."""

from __future__ import annotations

import copy
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from tests.conformance.compare import (
    MismatchError,
    as_array,
    compare,
    compare_leaf,
    leaves,
)
from tests.conformance.reference import (
    Forward,
    Sample,
    forward,
    forward_in_float64,
    is_random,
    stop_dropout,
    widened,
)


def warm_up() -> None:
    """Fill luxgen's caches once, before workers are forked that then have them."""
    import luxgen

    luxgen.transpile(torch.nn.Tanh(), torch.zeros(2, 3), grad=True, check=False)


def check_sample(sample: Sample) -> str:
    """Raise where the generated module differs from torch; returns how it was judged.

    Outputs and the state after the call are held against torch in float64, with
    torch's own float32 error as yardstick. A module that draws random numbers is
    judged with its dropout probabilities at 0; one that still draws (in its very
    operation), by shape, dtype and finiteness.
    """
    import luxgen

    notes: list[str] = []
    drawing = is_random(sample)
    if drawing:
        stop_dropout(sample.module)
        drawing = is_random(sample)
        notes.append("shape, dtype and finiteness only" if drawing else "p=0")
    twin = copy.deepcopy(sample)
    generated = luxgen.transpile(twin.module, twin.args, twin.kwargs)
    text = generated.load()
    ours, ours_state = run_generated(text, generated.weights, sample)
    low = forward(sample)
    if drawing:
        compare(ours, low.outputs, None)
        return ", ".join(notes)
    high = forward_in_float64(sample)
    if high is None:
        notes.append("torch has no float64 form, float32 is the yardstick")
        high = Forward(widened(low.outputs), low.state)
    compare(ours, low.outputs, high.outputs)
    _compare_state(ours_state, low.state, high.state)
    return ", ".join(notes)


def _compare_state(
    ours: Mapping[str, np.ndarray],
    low: Mapping[str, torch.Tensor],
    high: Mapping[str, torch.Tensor],
) -> None:
    """Running statistics and other buffers after the call; parameters unchanged."""
    if set(ours) != set(low):
        different = sorted(set(ours) ^ set(low))
        raise MismatchError(f"state_dict: {different[:5]} differ")
    for name, tensor in low.items():
        compare_leaf(name, np.asarray(ours[name]), tensor, high[name])


def run_generated(
    text: types.ModuleType, weights: Mapping[str, np.ndarray], sample: Sample
) -> tuple[Any, dict[str, np.ndarray]]:
    """Outputs of `apply` in the sample's mode, and `state_dict` after the call."""
    ps, st = trees(text, weights, training=sample.module.training)
    args, kwargs = to_numpy(bind_torch(text.apply, sample))
    out, st = text.apply(*args, ps, st, **kwargs)
    return out, text.state_dict(ps, st)


def trees(
    text: types.ModuleType, weights: Mapping[str, np.ndarray], *, training: bool
) -> tuple[Any, Any]:
    """`ps`, and `st` in the mode asked for."""
    ps, st = text.from_state_dict(weights)
    mode = "trainmode" if training else "testmode"
    if hasattr(text, mode):
        st = getattr(text, mode)(st)
    return ps, st


def bind_torch(
    apply: Callable[..., Any], sample: Sample
) -> tuple[list[Any], dict[str, Any]]:
    """The sample's values in `apply`'s order: required ones first, optional by keyword.

    Their tensors are the sample's own.
    """
    signature = inspect.signature(sample.module.forward)
    given = dict(signature.bind(*sample.args, **sample.kwargs).arguments)
    flat: dict[str, Any] = {}
    for name, value in given.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            flat |= {f"{name}_{i}": item for i, item in enumerate(value)}
        elif kind is inspect.Parameter.VAR_KEYWORD:
            flat |= value
        else:
            flat[name] = value
    parameters = list(inspect.signature(apply).parameters)
    positional = parameters[: parameters.index("ps")]
    optional = [p for p in parameters[len(positional) + 2 :] if p in flat]
    required = [name for name in flat if name not in optional]
    tensors = [name for name in required if _holds_tensor(flat[name])]
    if len(positional) == len(tensors):  # plain values are constants of the text
        required = tensors
    if len(positional) != len(required):
        raise MismatchError(f"apply takes {positional}, forward got {required}")
    return [flat[name] for name in required], {name: flat[name] for name in optional}


def _holds_tensor(item: Any) -> bool:
    return any(isinstance(leaf, torch.Tensor) for leaf in leaves(item))


def to_numpy(item: Any) -> Any:
    """Tensors inside tuples, lists and dicts as arrays that share nothing."""
    if isinstance(item, torch.Tensor):
        return as_array(item).copy()
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*(to_numpy(v) for v in item))
    if isinstance(item, list | tuple):
        return type(item)(to_numpy(v) for v in item)
    if isinstance(item, dict):
        return {k: to_numpy(v) for k, v in item.items()}
    return item
