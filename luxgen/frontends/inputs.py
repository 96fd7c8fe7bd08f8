"""What a model is called with: from flags, pyproject.toml, the file, or inference."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import Parameter
from typing import Any

import torch
from torch import Tensor, nn

from luxgen.errors import InputError
from luxgen.frontends.infer_inputs import infer
from luxgen.frontends.input_spec import (
    FORM,
    InputSpec,
    example,
    free_dims,
    parse_input,
)
from luxgen.frontends.instance import Loaded
from luxgen.frontends.source_file import display_path, user_code
from luxgen.frontends.trial import Trial

__all__ = ["InputSpec", "Inputs", "example", "free_dims", "parse_input"]
__all__ += ["resolve_inputs"]

# Sizes to try for the free dims, in order of appearance: primes, which no constant
# of the model is likely to equal; short ones, for a limit on the length; then image
# sizes that strides divide. The first dim is mostly the batch.
_SIZES: tuple[tuple[int, ...], ...] = (
    (11, 13, 17, 19, 23, 29),
    (11, 5, 7, 3, 2, 4),
    (11, 32, 48, 64, 80, 96),
    (11, 64, 96, 128, 160, 192),
    (5, 128, 160, 192, 224, 256),
    (3, 224, 256, 288, 320, 352),
    (11, 32, 32, 32, 32, 32),
    (3, 224, 224, 224, 224, 224),
)
_SEED = 0


@dataclass(frozen=True)
class Inputs:
    """Arguments on which forward runs; required ones are `args`, in its order.

    `specs` describes them, args first, where they are known to be plain tensors and
    which dims are free; `sizes` are those of the free dims in `args` and `kwargs`.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    specs: tuple[InputSpec, ...] | None
    origin: str
    sizes: dict[str, int] = field(default_factory=dict)


def resolve_inputs(
    loaded: Loaded, model: nn.Module, flags: Sequence[str], config: Mapping[str, Any]
) -> Inputs:
    """The inputs by --input, else pyproject.toml, else example_inputs(), else inferred.

    Raises InputError that names the flag to add, if there are none or forward
    doesn't run on them.
    """
    trial = Trial(model, loaded.build, loaded.path)
    if flags or config.get("inputs"):
        texts = flags or config["inputs"]
        origin = "--input" if flags else "[tool.luxgen.models] in pyproject.toml"
        return _from_specs(trial, [parse_input(text) for text in texts], origin)
    if callable(getattr(loaded.namespace, "example_inputs", None)):
        return _from_function(trial, loaded)
    specs, origin = infer(trial, _bound_of(model))
    return _from_specs(trial, specs, origin)


def _from_specs(trial: Trial, specs: Sequence[InputSpec], origin: str) -> Inputs:
    """Fit the specs to forward's arguments and find sizes at which it runs."""
    high = _bound_of(trial.model)
    specs = _ordered(trial.model, [_bounded(spec, high) for spec in specs])
    names = free_dims(specs)
    first_error: InputError | None = None
    for sizes in _sizes(names):
        args, kwargs = _arguments(trial.model, specs, example(specs, sizes, _SEED))
        try:
            trial.run(args, kwargs)
        except InputError as error:
            first_error = first_error or InputError(_refused(specs, sizes, error))
        else:
            return Inputs(args, kwargs, specs, origin, sizes)
    assert first_error is not None
    raise first_error


def _from_function(trial: Trial, loaded: Loaded) -> Inputs:
    """The inputs that the file's example_inputs() returns."""
    origin = f"example_inputs() in {display_path(loaded.path)}"
    with user_code(loaded.path), torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        value = loaded.namespace.example_inputs()
    if value is None:
        raise InputError(f"{origin} returned None; return a tensor, tuple or dict")
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        kwargs = dict(value)
    elif type(value) is tuple:
        args = value
    else:
        args = (value,)
    try:
        bound = inspect.signature(trial.model.forward).bind(*args, **kwargs)
    except TypeError as error:
        hint = "; to pass the dict itself return ({...},)" if kwargs else ""
        raise InputError(
            f"{origin} doesn't fit {_called(trial.model)}: {error}{hint}"
        ) from error
    args, kwargs = _required_first(bound)
    try:
        trial.run(args, kwargs)
    except InputError as error:
        raise InputError(f"the model doesn't run on {origin}:\n{error}") from error
    return Inputs(args, kwargs, None, origin)


def _required_first(
    bound: inspect.BoundArguments,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Required arguments by position, optional ones by keyword, where both can be."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    variadic = any(
        bound.signature.parameters[name].kind is Parameter.VAR_POSITIONAL
        for name in bound.arguments
    )
    for name, value in bound.arguments.items():
        parameter = bound.signature.parameters[name]
        if parameter.kind is Parameter.VAR_POSITIONAL:
            args += value
        elif parameter.kind is Parameter.VAR_KEYWORD:
            kwargs |= value
        elif parameter.kind is Parameter.KEYWORD_ONLY:
            kwargs[name] = value
        elif (
            parameter.default is Parameter.empty
            or parameter.kind is Parameter.POSITIONAL_ONLY
            or variadic
        ):
            args.append(value)
        else:
            kwargs[name] = value
    return tuple(args), kwargs


def _ordered(model: nn.Module, specs: Sequence[InputSpec]) -> tuple[InputSpec, ...]:
    """The specs in forward's order; InputError if they don't match its arguments."""
    parameters = inspect.signature(model.forward).parameters
    kinds = {p.kind for p in parameters.values()}
    variadic = {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}
    named = {n: p for n, p in parameters.items() if p.kind not in variadic}
    given = {spec.name: spec for spec in specs}
    if len(given) < len(specs):
        names = [spec.name for spec in specs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"--input {twice} is given more than once")
    unknown = [name for name in given if name not in named]
    if unknown and not kinds & variadic:
        raise InputError(
            f"--input: {_called(model)} has no argument {', '.join(unknown)}; "
            f"it has {', '.join(named)}"
        )
    missing = [
        n for n, p in named.items() if p.default is Parameter.empty and n not in given
    ]
    if missing:
        flags = " ".join(f'--input "{name}: float32[...]"' for name in missing)
        raise InputError(f"{_called(model)} needs more inputs; add {flags}")
    required = [n for n in named if named[n].default is Parameter.empty]
    optional = [n for n in named if n not in required and n in given]
    return tuple(given[name] for name in (*required, *unknown, *optional))


def _arguments(
    model: nn.Module, specs: Sequence[InputSpec], values: Sequence[Tensor]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    parameters = inspect.signature(model.forward).parameters
    by_position = any(p.kind is Parameter.VAR_POSITIONAL for p in parameters.values())
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for spec, value in zip(specs, values, strict=True):
        parameter = parameters.get(spec.name)
        if parameter is None or parameter.kind in (
            Parameter.VAR_POSITIONAL,
            Parameter.VAR_KEYWORD,
        ):
            positional = by_position
        else:
            positional = (
                parameter.default is Parameter.empty
                and parameter.kind is not Parameter.KEYWORD_ONLY
            ) or parameter.kind is Parameter.POSITIONAL_ONLY
        if positional:
            args.append(value)
        else:
            kwargs[spec.name] = value
    return tuple(args), kwargs


def _bound_of(model: nn.Module) -> int | None:
    """The largest bound that keeps an integer valid for every embedding."""
    sizes = [
        module.num_embeddings
        for module in model.modules()
        if isinstance(module, nn.Embedding | nn.EmbeddingBag)
    ]
    return min(sizes, default=None)


def _bounded(spec: InputSpec, high: int | None) -> InputSpec:
    indices = spec.dtype in ("int64", "int32") and spec.high is None
    return replace(spec, high=high) if indices and high else spec


def _sizes(names: Sequence[str]) -> Iterator[dict[str, int]]:
    for row in _SIZES if names else _SIZES[:1]:
        wide = (*row, *range(31, 31 + 2 * len(names), 2))
        yield dict(zip(names, wide, strict=False))


def _called(model: nn.Module) -> str:
    return f"{type(model).__name__}.forward"


def _refused(
    specs: Sequence[InputSpec], sizes: Mapping[str, int], error: InputError
) -> str:
    flags = " ".join(f'--input "{spec}"' for spec in specs)
    bound = ", ".join(f"{name}={size}" for name, size in sizes.items())
    at = f" ({bound})" if bound else ""
    return (
        f"the model doesn't run on {flags}{at}:\n{error}\n"
        f"    -> write each input as {FORM}; a dim that isn't free is a number"
    )
