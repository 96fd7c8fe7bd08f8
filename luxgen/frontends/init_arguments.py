"""Constructor arguments from --init "hidden=64, layers=2", checked, never executed."""

import ast
import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

from luxgen.errors import InputError

_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What a constructor or factory is called with."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def parse_init(text: str) -> dict[str, Any]:
    """`hidden=64, sizes=(1, 2)` as a dict; only Python literals are accepted."""
    example = '--init "hidden=64, layers=2"'
    try:
        call = ast.parse(f"f({text}\n)", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"--init {text!r} can't be read; write {example}") from error
    # Anything that closes the bracket itself isn't a plain call of f any more.
    plain = isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    if not isinstance(call, ast.Call) or not plain or call.args:
        raise InputError(f"--init {text!r} must be keyword arguments: {example}")
    values: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise InputError(f"--init {text!r} must be keyword arguments: {example}")
        if keyword.arg in values:
            raise InputError(f"--init {text!r} gives {keyword.arg} twice")
        try:
            values[keyword.arg] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, MemoryError, RecursionError) as error:
            raise InputError(
                f"--init: the value of {keyword.arg} isn't a literal "
                f"({ast.unparse(keyword.value)}); for other values write a function "
                f"that returns the model and name it: model.py:make_model"
            ) from error
    return values


def init_arguments(
    make: Callable[..., Any], name: str, values: Mapping[str, Any]
) -> Arguments:
    """Fit `values` to the parameters of `make`, a class or function called `name`.

    A parameter annotated with a dataclass is filled with one: by its defaults if
    nothing else can, and by those of the values that name its fields. Raises
    InputError for values it doesn't take and required ones that are missing.
    """
    try:
        parameters = dict(signature(make).parameters)
    except (TypeError, ValueError):  # a builtin without a signature
        return Arguments((), dict(values))
    known = {n: p for n, p in parameters.items() if p.kind not in _VARIADIC}
    given = {n: v for n, v in values.items() if n in known}
    rest = {n: v for n, v in values.items() if n not in known}
    configs = {n: c for n, c in _dataclasses(make, known).items() if n not in given}
    for parameter, config in configs.items():
        fields = {f.name for f in dataclasses.fields(config) if f.init}
        if known[parameter].default is Parameter.empty or fields & rest.keys():
            taken = {n: rest.pop(n) for n in fields & rest.keys()}
            given[parameter] = _make_config(config, taken, name, parameter)
    if rest and not any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values()):
        raise InputError(_unexpected(name, sorted(rest), known, configs))
    missing = [
        n for n, p in known.items() if p.default is Parameter.empty and n not in given
    ]
    if missing:
        raise InputError(_missing(name, missing, known))
    positional = [n for n, p in known.items() if p.kind is Parameter.POSITIONAL_ONLY]
    args = tuple(given.pop(n) for n in positional if n in given)
    return Arguments(args, {**given, **rest})


def _dataclasses(
    make: Callable[..., Any], parameters: Mapping[str, Parameter]
) -> dict[str, type]:
    """The parameters annotated `Config` or `Config | None`, Config a dataclass."""
    function = make.__init__ if isinstance(make, type) else make  # type: ignore[misc]
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # a name that only a type checker knows
        return {}
    found = {}
    for name in parameters:
        hint = hints.get(name)
        options = [hint]
        if typing.get_origin(hint) in (typing.Union, types.UnionType):
            options = [o for o in typing.get_args(hint) if o is not type(None)]
        if (
            len(options) == 1
            and isinstance(options[0], type)
            and dataclasses.is_dataclass(options[0])
        ):
            found[name] = options[0]
    return found


def _make_config(
    config: type, values: dict[str, Any], name: str, parameter: str
) -> object:
    required = [
        f.name
        for f in dataclasses.fields(config)
        if f.init
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
        and f.name not in values
    ]
    if required:
        wanted = ", ".join(f"{field}=..." for field in required)
        raise InputError(
            f"{name} takes {parameter}: {config.__name__}, which needs "
            f'{", ".join(required)}; add --init "{wanted}"'
        )
    return config(**values)


def _missing(name: str, missing: list[str], known: Mapping[str, Parameter]) -> str:
    shown = [
        f"{n} ({_annotation(known[n])})" if _annotation(known[n]) else n
        for n in missing
    ]
    wanted = ", ".join(f"{n}=..." for n in missing)
    return (
        f"{name} can't be built without {', '.join(shown)}; add\n"
        f'    --init "{wanted}"\n'
        f"or, for values that aren't literals, name a function of the file that "
        f"returns the model: model.py:make_model"
    )


def _unexpected(
    name: str,
    rest: list[str],
    known: Mapping[str, Parameter],
    configs: Mapping[str, type],
) -> str:
    fields = [f.name for c in configs.values() for f in dataclasses.fields(c)]
    accepted = [*known, *fields]
    near = difflib.get_close_matches(rest[0], accepted, 1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    listed = ", ".join(accepted) if accepted else "no arguments"
    return f"--init: {name} has no argument {', '.join(rest)}{meant}; it has {listed}"


def _annotation(parameter: Parameter) -> str:
    annotation = parameter.annotation
    if annotation is Parameter.empty:
        return ""
    if isinstance(annotation, str):
        return annotation
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
