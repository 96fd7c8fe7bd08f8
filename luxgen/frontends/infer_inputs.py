"""Infers a model's input from its first layer, where only one answer is possible.

A guess is accepted only if forward runs on it, passes it as it is to the layer it
was made from, treats the rows of the batch independently (so the batch isn't taken
for a sequence) and doesn't reshape other inputs to the same. A size that a later
layer fixes is found by trying: it must be the only one that fits and is used to the
last row and column.
"""

import functools
import inspect
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from inspect import Parameter
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn

from luxgen.errors import InputError
from luxgen.frontends.first_layers import FIRST_LAYERS, Guess
from luxgen.frontends.input_spec import FORM, InputSpec, example
from luxgen.frontends.source_file import display_path
from luxgen.frontends.trial import Trial, tensors

_BATCHES = (11, 13, 17, 19, 23, 29)
_FREE_SIZES = ((13, 37, 41), (5, 7, 3), (64, 96, 128))  # each with another as witness
_WITNESSES = ((17, 43, 47), (4, 6, 5), (96, 128, 64))
_LARGEST_SIZE = 512
# A run without values costs the import of torch's shape rules once, over a second;
# small sizes on models of fewer parameters than this are faster for real.
_REAL_SIZES = 32
_REAL_PARAMETERS = 5_000_000
_MOST_GUESSES = 64


@dataclass(frozen=True)
class _Layer:
    name: str
    module: nn.Module


class _NotCertain(Exception):
    """Why a guess that runs is not accepted, and the input that it suggests."""

    def __init__(self, why: str, guess: Guess) -> None:
        super().__init__(why)
        self.guess = guess


class _Mixed(_NotCertain):
    """A guess runs, but its rows aren't independent: is the batch another dim?"""


def infer(trial: Trial, high: int | None) -> tuple[list[InputSpec], str]:
    """The specs of the model's only required input, and how they were found.

    Raises InputError with the flag to add, filled in as far as it is known. Integers
    of the spec stay below `high` too.
    """
    names = _required(trial.model)
    if len(names) != 1:
        why = f"forward takes {len(names)} required inputs"
        raise InputError(_unknown(trial, names, why, None))
    failure: _NotCertain | None = None
    for layer, guess in _guesses(trial.model):
        try:
            certain, how = _check(trial, layer, guess)
        except _Mixed as error:
            failure = failure or error
        except _NotCertain as error:
            failure = error
            break
        except InputError:
            continue
        else:
            if failure is not None and len(failure.guess.shape) != len(certain.shape):
                failure.guess = certain
                break
            if certain.high is not None and high is not None:
                certain = replace(certain, high=min(certain.high, high))
            kind = type(layer.module).__name__
            return [certain.spec(names[0])], f"inferred: {layer.name} is {kind}{how}"
    if failure is None:
        raise InputError(_unknown(trial, names, "no first layer tells them", None))
    raise InputError(_unknown(trial, names, str(failure), failure.guess))


def _required(model: nn.Module) -> list[str]:
    variadic = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return [
        name
        for name, parameter in inspect.signature(model.forward).parameters.items()
        if parameter.default is Parameter.empty and parameter.kind not in variadic
    ]


def _guesses(model: nn.Module) -> list[tuple[_Layer, Guess]]:
    """What each layer, were it the first, says of the input."""
    found: list[tuple[_Layer, Guess]] = []
    for name, module in model.named_modules():
        if type(module) in FIRST_LAYERS:
            for guess in FIRST_LAYERS[type(module)](module):
                if guess not in (earlier for _, earlier in found):
                    found.append((_Layer(name, module), guess))
    return found[:_MOST_GUESSES]


def _check(trial: Trial, layer: _Layer, guess: Guess) -> tuple[Guess, str]:
    """The guess with its sizes, if it is certain, and what fixed them.

    Raises InputError where it doesn't run, _NotCertain where it isn't the only one.
    """
    batch = next(b for b in _BATCHES if b not in _parameter_sizes(trial.model))
    sizes, how = {"batch": batch}, ""
    if not _is_first(trial, layer, guess, batch):
        raise InputError("another layer comes first")
    free = _free_sizes(trial, guess, batch)
    if free is not None:
        sizes |= free
    elif guess.sized:
        size = _only_size(trial, guess, batch)
        sizes |= dict.fromkeys(guess.sized, size)
        how = f", and of all sizes {size} fits"
    x = _tensor(guess, sizes)
    _require_as_it_is(trial, layer, guess, x)
    output = trial.run([x])
    if not _rows_independent(trial, guess, x, output):
        raise _Mixed("what may be the batch isn't independent row by row", guess)
    if _reshapes(trial, layer, guess, x):
        raise _NotCertain("forward reshapes it, so its shape can't be known", guess)
    if free is None:
        shape = tuple(sizes[dim] if dim in guess.sized else dim for dim in guess.shape)
        return replace(guess, shape=shape), how
    if isinstance(layer.module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        raise _NotCertain("forward runs on any size", guess)
    return guess, how


def _free_sizes(trial: Trial, guess: Guess, batch: int) -> dict[str, int] | None:
    """Sizes for the dims that forward leaves free; None where it fixes them."""
    if not guess.sized:
        return {}
    for row in zip(_FREE_SIZES, _WITNESSES, strict=True):
        both = [dict(zip(guess.sized, sizes, strict=False)) for sizes in row]
        if all(trial.runs([_tensor(guess, {"batch": batch} | s)]) for s in both):
            return both[0]
    return None


def _only_size(trial: Trial, guess: Guess, batch: int) -> int:
    """The one size of the `sized` dims that runs and is used to its end."""
    fitting = _fitting_sizes(trial, guess, batch)
    if not fitting:
        raise InputError("no size fits")
    used = [s for s in fitting if _uses_its_end(trial, guess, batch, s)]
    if len(used) == 1:
        return used[0]
    first, last = fitting[0], fitting[-1]
    chosen = used[-1] if used else first
    raise _NotCertain(
        f"any size from {first} to {last} fits",
        replace(
            guess,
            shape=tuple(chosen if dim in guess.sized else dim for dim in guess.shape),
        ),
    )


def _fitting_sizes(trial: Trial, guess: Guess, batch: int) -> list[int]:
    """The first run of sizes on which forward runs and keeps the batch."""
    small = sum(p.numel() for p in trial.model.parameters()) < _REAL_PARAMETERS
    real_sizes = _REAL_SIZES if small else 0
    meta = functools.cache(trial.on_meta)

    def fits(size: int) -> bool:
        sizes = {"batch": batch} | dict.fromkeys(guess.sized, size)
        x = _tensor(guess, sizes)
        try:
            if size <= real_sizes:
                output = trial.run([x])
            else:
                output = meta().run([x.to("meta")])
        except InputError:
            return False
        return any(batch in tensor.shape for tensor in tensors(output))

    sizes = iter(range(1, _LARGEST_SIZE + 1))
    first = next((size for size in sizes if fits(size)), None)
    if first is None:
        return []
    return [first, *takewhile(fits, sizes)]


def _uses_its_end(trial: Trial, guess: Guess, batch: int, size: int) -> bool:
    """Whether the output depends on the last index along each of the `sized` dims."""
    x = _tensor(guess, {"batch": batch} | dict.fromkeys(guess.sized, size))
    try:
        output = trial.run([x])
    except InputError:
        return False
    return all(
        not _same(output, trial.run([_changed(x, guess, guess.shape.index(dim), -1)]))
        for dim in guess.sized
    )


def _is_first(trial: Trial, layer: _Layer, guess: Guess, batch: int) -> bool:
    """Whether `layer` is the first to be called on an input like the guess."""
    size = _FREE_SIZES[0][0]
    x = _tensor(guess, {"batch": batch} | dict.fromkeys(guess.sized, size))
    call = _first_call(trial, x)
    return call is not None and call[0] is layer.module


def _require_as_it_is(trial: Trial, layer: _Layer, guess: Guess, x: Tensor) -> None:
    """Raise InputError unless the layer gets `x` itself or a function of each element.

    A change of one index along an axis must then change what the layer gets in that
    index alone: a transposed or reshaped input fails.
    """
    call = _first_call(trial, x)
    if call is None or call[0] is not layer.module or call[1].shape != x.shape:
        raise InputError("another layer comes first")
    for axis in range(x.dim()):
        changed = _first_call(trial, _changed(x, guess, axis, 0))
        assert changed is not None
        others = slice(1, x.shape[axis])
        if _close(call[1], changed[1]) or not _close(
            call[1].movedim(axis, 0)[others], changed[1].movedim(axis, 0)[others]
        ):
            raise InputError("the input is rearranged first")


class _Stop(Exception):
    """Ends a run whose rest doesn't matter."""


def _first_call(trial: Trial, x: Tensor) -> tuple[nn.Module, Tensor] | None:
    """The first of the known layers that forward calls, and its input."""
    calls: list[tuple[nn.Module, Tensor]] = []

    def stop(module: nn.Module, value: Tensor) -> None:
        calls.append((module, value.clone()))
        raise _Stop

    watched = [m for m in trial.model.modules() if type(m) in FIRST_LAYERS]
    with trial.watching(watched, stop), suppress(InputError, _Stop):
        trial.run([x])
    return calls[0] if calls else None


def _rows_independent(trial: Trial, guess: Guess, x: Tensor, output: Any) -> bool:
    """Whether a change of the first row changes the output in that row alone."""
    axis = guess.shape.index("batch")
    changed = trial.run([_changed(x, guess, axis, 0)])
    moved = False
    for before, after in zip(tensors(output), tensors(changed), strict=True):
        axes = [i for i, size in enumerate(before.shape) if size == x.shape[axis]]
        if not axes:
            continue
        if not _close(
            before.narrow(axes[0], 1, x.shape[axis] - 1),
            after.narrow(axes[0], 1, x.shape[axis] - 1),
        ):
            return False
        moved = moved or not _close(before, after)
    return moved


def _reshapes(trial: Trial, layer: _Layer, guess: Guess, x: Tensor) -> bool:
    """Whether the layer gets the same from `x` with one dim more."""
    lifted = x.unsqueeze(guess.shape.index("batch") + 1)
    call = _first_call(trial, lifted)
    first = call is not None and call[0] is layer.module and call[1].shape == x.shape
    return first and trial.runs([lifted])


def _changed(x: Tensor, guess: Guess, axis: int, index: int) -> Tensor:
    """`x` with other, equally valid values at one index along an axis."""
    changed = x.clone()
    part = changed.select(axis, index)
    if guess.high is None:
        part.mul_(-3).add_(1)
    else:
        part.add_(1).remainder_(guess.high)
    return changed


def _same(first: Any, second: Any) -> bool:
    """Whether two outputs have the same tensors."""
    pairs = list(zip(tensors(first), tensors(second), strict=False))
    return bool(pairs) and all(a.shape == b.shape and _close(a, b) for a, b in pairs)


def _close(first: Tensor, second: Tensor) -> bool:
    if not first.dtype.is_floating_point:
        return torch.equal(first, second)
    return torch.allclose(first, second, rtol=1e-5, atol=1e-7, equal_nan=True)


def _tensor(guess: Guess, sizes: dict[str, int]) -> Tensor:
    return example([guess.spec("x")], sizes, seed=0)[0]


def _parameter_sizes(model: nn.Module) -> set[int]:
    return {size for parameter in model.parameters() for size in parameter.shape}


def _unknown(trial: Trial, names: Sequence[str], why: str, guess: Guess | None) -> str:
    """Say why the inputs aren't known, and what to add."""
    shown = display_path(trial.path)
    flags = [f'--input "{name}: DTYPE[batch, ...]"' for name in names]
    if guess is not None:
        flags = [f'--input "{replace(guess, high=None).spec(names[0])}"']
    values = ", ".join("torch.randn(...)" for _ in names)
    return (
        f"the inputs of {type(trial.model).__name__} aren't known: {why}; add\n"
        f"    {' '.join(flags)}\n"
        f"as in {FORM}, with a name for each free dim, or a function to {shown}:\n"
        f"    def example_inputs():\n"
        f"        return {values}"
    )
