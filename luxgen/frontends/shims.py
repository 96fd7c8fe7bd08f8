"""`int`, `len` and friends in the user's modules, so that they keep expressions."""

from __future__ import annotations

import builtins
import functools
import linecache
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, ModuleType
from typing import Any

import torch

from luxgen.frontends.shadow import ShadowFloat, ShadowInt, plain, shadow

_FOREIGN = frozenset({
    "torch", "numpy", "sympy", "builtins", "luxgen", "math", "random", "sys",
    "typing", "typing_extensions", "pytest", "_pytest",
})  # fmt: skip


class _Number(type):
    """Stands for `int` or `float`: a class of the builtin's name that keeps sizes."""

    own: type

    def __instancecheck__(cls, item: Any) -> bool:
        return isinstance(item, cls.own)

    def __subclasscheck__(cls, item: type) -> bool:
        return issubclass(item, cls.own)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and isinstance(args[0], (ShadowInt, ShadowFloat)):
            return _converted(cls.own, args[0])
        return cls.own(*args, **kwargs)

    def __eq__(cls, other: object) -> bool:
        return other is cls.own or other is cls

    def __hash__(cls) -> int:
        return hash(cls.own)

    def __or__(cls, other: Any) -> Any:
        return cls.own | other

    def __ror__(cls, other: Any) -> Any:
        return other | cls.own


def _converted(kind: type, number: Any) -> Any:
    """int(number) or float(number), with its expression."""
    if kind is float:
        return number * 1.0
    if isinstance(number, ShadowInt):
        return number
    return shadow(int(plain(number)), "int(_0)", number)


class _Int(metaclass=_Number):
    own = int
    from_bytes = int.from_bytes


class _Float(metaclass=_Number):
    own = float
    fromhex = float.fromhex


def _len(item: Any) -> Any:
    if isinstance(item, torch.Tensor) and item.dim():
        return item.shape[0]
    return builtins.len(item)


class _Math:
    """The math module, with the functions that sizes meet made to keep expressions."""

    def __getattr__(self, name: str) -> Any:
        return getattr(math, name)

    @staticmethod
    def sqrt(x: Any) -> Any:
        return x**0.5 if isinstance(x, (ShadowInt, ShadowFloat)) else math.sqrt(x)

    @staticmethod
    def pow(x: Any, y: Any) -> Any:
        sizes = isinstance(x, (ShadowInt, ShadowFloat))
        return x**y * 1.0 if sizes else math.pow(x, y)

    @staticmethod
    def prod(items: Any, *, start: Any = 1) -> Any:
        result = start
        for item in items:
            result = result * item
        return result


def _of_size(name: str) -> Callable[[Any], Any]:
    function = getattr(math, name)

    def shimmed(x: Any, *rest: Any) -> Any:
        if isinstance(x, (ShadowInt, ShadowFloat)) and not rest:
            return shadow(function(plain(x)), f"math.{name}(_0)", x)
        return function(x, *rest)

    return shimmed


for _name in ("log", "log2", "log10", "log1p", "exp", "sin", "cos", "tan", "atan"):
    setattr(_Math, _name, staticmethod(_of_size(_name)))

_MATH = _Math()
_FUNCTIONS = {  # of `from math import sqrt`
    getattr(math, name): getattr(_MATH, name)
    for name in vars(_Math)
    if not name.startswith("_")
}

# As a dtype, `int` and `float` must stay Python's own.
_AS_DTYPE = re.compile(
    r"dtype\s*=\s*(?:int|float)\b|\.(?:to|type|astype|view)\(\s*(?:int|float)\s*\)"
)


@functools.cache
def _has_python_dtypes(file: str) -> bool:
    return bool(_AS_DTYPE.search("".join(linecache.getlines(file))))


def _uncached(cached: Any) -> Any:
    """A cached function, computed anew where a size is given: a hit loses it."""

    @functools.wraps(cached)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any(_holds_size(a) for a in (*args, *kwargs.values())):
            return cached.__wrapped__(*args, **kwargs)
        return cached(*args, **kwargs)

    return call


def _holds_size(item: Any) -> bool:
    if isinstance(item, tuple):
        return any(_holds_size(i) for i in item)
    return isinstance(item, (ShadowInt, ShadowFloat))


@contextmanager
def shimmed_builtins() -> Iterator[None]:
    """Shadow `int`, `float`, `len`, `math` and caches in every user module while tracing."""
    done: list[tuple[ModuleType, str, Any]] = []
    standard = (sys.base_prefix + "/lib/python3.", sys.prefix + "/lib/python3.")
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(module, ModuleType) or not file:
            continue
        if name.split(".")[0] in _FOREIGN:
            continue
        if file.startswith(standard) and "site-packages" not in file:
            continue
        stand_ins = {"int": _Int, "float": _Float, "len": _len}
        if _has_python_dtypes(file):
            stand_ins = {"len": _len}
        for key, stand_in in stand_ins.items():
            if key not in vars(module):
                done.append((module, key, None))
                vars(module)[key] = stand_in
        for key, held in list(vars(module).items()):
            if type(held) is functools._lru_cache_wrapper:
                done.append((module, key, held))
                vars(module)[key] = _uncached(held)
            elif type(held) is BuiltinFunctionType and held in _FUNCTIONS:
                done.append((module, key, held))
                vars(module)[key] = _FUNCTIONS[held]
        if vars(module).get("math") is math:
            done.append((module, "math", math))
            vars(module)["math"] = _MATH
    try:
        yield
    finally:
        for module, key, before in done:
            if before is None:
                vars(module).pop(key, None)
            else:
                vars(module)[key] = before
