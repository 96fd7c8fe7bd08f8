"""Finds the model in a file and builds it: a class, a factory or an instance."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from luxgen.errors import InputError, printable
from luxgen.file_names import identifier
from luxgen.frontends.config import model_config, named_config
from luxgen.frontends.find_model import find_class
from luxgen.frontends.init_arguments import Arguments, init_arguments, parse_init
from luxgen.frontends.source_file import (
    display_path,
    import_source,
    read_source,
    split_target,
    user_code,
)

_FACTORY_VERBS = ("make_", "build_", "create_", "get_")


@dataclass(frozen=True)
class Loaded:
    """A model that can be built any number of times.

    `symbol` is the class, factory or instance of the module `namespace` that the
    model comes from; `config` is its [tool.luxgen.models.NAME] table.
    """

    symbol: str
    path: Path
    source_text: str
    namespace: ModuleType
    config: Mapping[str, Any]
    arguments: Arguments

    def build(self) -> nn.Module:
        """Make the model anew; InputError with file and line if that raises."""
        value = getattr(self.namespace, self.symbol)
        if isinstance(value, nn.Module):
            return copy.deepcopy(value)
        with user_code(self.path):
            model = value(*self.arguments.args, **self.arguments.kwargs)
        if not isinstance(model, nn.Module):
            raise InputError(
                f"{display_path(self.path)}:{self.symbol} returned "
                f"{type(model).__name__}, not an nn.Module"
            )
        return model

    @cached_property
    def name(self) -> str:
        """The model's class name; for a plain container, the factory's name.

        Always an identifier: a class made by `type(name, ...)` may have any name.
        """
        value = getattr(self.namespace, self.symbol)
        if isinstance(value, type):
            return identifier(value.__name__)
        model = value if isinstance(value, nn.Module) else self.build()
        cls = type(model)
        if cls.__module__.partition(".")[0] != "torch":
            return identifier(cls.__name__)
        words = self.symbol
        for verb in _FACTORY_VERBS:
            words = words.removeprefix(verb)
        camel = "".join(w[:1].upper() + w[1:] for w in words.split("_"))
        return identifier(camel or cls.__name__)


def load(target: str, init: str | Mapping[str, Any] | None = None) -> Loaded:
    """Import the file of `model.py`, `model.py:LeNet5`, `model.py:make_model` or NAME.

    NAME is one of [tool.luxgen.models] with a `source`. `init` holds constructor
    arguments ("hidden=64, layers=2"); without it the table's are taken. Raises
    InputError where the file, the model in it or its arguments can't be used.
    """
    named = None if Path(target).is_file() else named_config(target, Path.cwd())
    path_text, symbol = split_target(named["source"] if named else target)
    source = read_source(Path(path_text))
    module = import_source(source)
    symbol = symbol or find_class(source, module)
    make = _lookup(module, symbol, source.path)
    config = named or model_config(source.path, symbol)
    if init is None:
        init = config.get("init", {})
    values = parse_init(init) if isinstance(init, str) else dict(init)
    if isinstance(make, nn.Module):
        if values:
            raise InputError(f"--init: {symbol} is a model already; it takes none")
        arguments = Arguments((), {})
    else:
        arguments = init_arguments(make, symbol, values)
    return Loaded(symbol, source.path, source.text, module, config, arguments)


def _lookup(module: ModuleType, symbol: str, path: Path) -> Callable[..., Any]:
    shown = f"{display_path(path)}:{printable(symbol)}"
    if symbol not in vars(module):
        usable = [n for n, value in vars(module).items() if _usable(value)]
        listed = f"; it has {', '.join(usable)}" if usable else ""
        raise InputError(f"{shown}: the file defines no {printable(symbol)}{listed}")
    value = getattr(module, symbol)
    if isinstance(value, type) and not issubclass(value, nn.Module):
        raise InputError(f"{shown} is a class, but not an nn.Module")
    if not callable(value):
        raise InputError(f"{shown} is neither an nn.Module class nor a function")
    result: Callable[..., Any] = value
    return result


def _usable(value: object) -> bool:
    if isinstance(value, type):
        return issubclass(value, nn.Module) and value is not nn.Module
    return isinstance(value, nn.Module)
