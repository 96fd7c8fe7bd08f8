"""Infers a model's input from its first layer, where only one answer is possible.

A guess is accepted only if forward runs on it, passes it as it is to the layer it
was made from, treats the rows of the batch independently (so the batch isn't taken
for a sequence), and doesn't run alike on the same numbers in another shape. A size
that a later layer fixes is found by trying: it must be the only one that fits and is
used to the last row and column.
"""

import inspect
from collections.abc import Sequence
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


def infer(trial: Trial, high: int | None) -> tuple[list[InputSpec], str]:
    """The specs of the model's only required input, and how they were found.

    Raises InputError with the flag to add, filled in as far as it is known. Integers
    of the spec stay below `high` too.
    """
    names = _required(trial.model)
    if len(names) != 1:
        why = f"forward takes {len(names)} required inputs"
        raise InputError(_unknown(trial, names, why, None))
    failure = _NotCertain("no first layer gives it away", Guess("float32", ("...",)))
    for layer, guess in _guesses(trial.model):
        try:
            certain, how = _check(trial, layer, guess)
        except _NotCertain as error:
            failure = error
        except InputError:
            continue
        else:
            if certain.high is not None and high is not None:
                certain = replace(certain, high=min(certain.high, high))
            kind = type(layer.module).__name__
            return [certain.spec(names[0])], f"inferred: {layer.name} is {kind}{how}"
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
    free = _free_sizes(trial, layer, guess, batch)
    if free is not None:
        sizes |= free
    elif guess.sized:
        size = _only_size(trial, guess, batch)
        sizes |= dict.fromkeys(guess.sized, size)
        how = f", and of all sizes {size} fits"
    x = _tensor(guess, sizes)
    _require_first(trial, layer, x)
    output = trial.run([x])
    if not _rows_independent(trial, guess, x, output):
        raise InputError("the rows of the batch are mixed")
    if _runs_in_another_shape(trial, guess, x, output):
        raise _NotCertain("forward reshapes it, so its shape can't be known", guess)
    if free is None:
        shape = tuple(sizes[dim] if dim in guess.sized else dim for dim in guess.shape)
        return replace(guess, shape=shape), how
    if isinstance(layer.module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        raise _NotCertain("it runs on images of any size", guess)
    return guess, how


def _free_sizes(
    trial: Trial, layer: _Layer, guess: Guess, batch: int
) -> dict[str, int] | None:
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
    chosen = used[0] if used else first
    raise _NotCertain(
        f"any size from {first} to {last} fits",
        replace(
            guess,
            shape=tuple(chosen if dim in guess.sized else dim for dim in guess.shape),
        ),
    )


def _fitting_sizes(trial: Trial, guess: Guess, batch: int) -> list[int]:
    """The first run of sizes on which forward runs and keeps the batch."""

    def fits(on: Trial, size: int) -> bool:
        sizes = {"batch": batch} | dict.fromkeys(guess.sized, size)
        x = _tensor(guess, sizes).to(next(iter(on.model.parameters())).device)
        try:
            return any(batch in t.shape for t in tensors(on.run([x])))
        except InputError:
            return False

    try:
        meta = trial.on_meta()
    except Exception:  # a model that holds what can't be copied without values
        return []
    sizes = iter(range(1, _LARGEST_SIZE + 1))
    first = next((size for size in sizes if fits(meta, size)), None)
    if first is None:
        return []
    return [first, *takewhile(lambda size: fits(meta, size), sizes)]


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


def _require_first(trial: Trial, layer: _Layer, x: Tensor) -> None:
    """Raise InputError unless `layer` is the first to be called, on all of `x`."""
    calls: list[tuple[nn.Module, torch.Size]] = []
    kinds = tuple(FIRST_LAYERS)
    watched = [m for m in trial.model.modules() if type(m) in kinds]
    with trial.watching(watched, lambda m, t: calls.append((m, t.shape))):
        trial.run([x])
    if not calls or calls[0][0] is not layer.module or calls[0][1] != x.shape:
        raise InputError("another layer comes first")


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


def _runs_in_another_shape(trial: Trial, guess: Guess, x: Tensor, output: Any) -> bool:
    """Whether the same numbers in one dim more give the same output."""
    lifted = x.unsqueeze(guess.shape.index("batch") + 1)
    try:
        return _same(output, trial.run([lifted]))
    except InputError:
        return False


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
    if guess is not None:
        flags = [f'--input "{replace(guess, high=None).spec(names[0])}"']
    else:
        flags = [f'--input "{name}: float32[batch, ...]"' for name in names]
    values = ", ".join(f"torch.randn(...)" for _ in names)
    return (
        f"the inputs of {type(trial.model).__name__} aren't known: {why}; add\n"
        f"    {' '.join(flags)}\n"
        f"written as in {FORM}, with a name for each free dim, or a function to "
        f"{shown}:\n"
        f"    def example_inputs():\n"
        f"        return ({values},)"
    )
