"""`int`, `len` and friends in the user's modules, so that they keep expressions."""

from __future__ import annotations

import builtins
import functools
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

from luxgen.frontends.shadow import ShadowFloat, ShadowInt, plain, shadow

_FOREIGN = frozenset({
    "torch", "numpy", "sympy", "builtins", "luxgen", "math", "random", "sys",
    "typing", "typing_extensions", "pytest", "_pytest",
})  # fmt: skip


class _IntMeta(type):
    def __instancecheck__(cls, item: Any) -> bool:
        return isinstance(item, int)

    def __subclasscheck__(cls, item: type) -> bool:
        return issubclass(item, int)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if (
            len(args) == 1
            and not kwargs
            and isinstance(args[0], (ShadowInt, ShadowFloat))
        ):
            if isinstance(args[0], ShadowInt):
                return args[0]
            return shadow(int(plain(args[0])), "int(_0)", args[0])
        return int(*args, **kwargs)

    def __eq__(cls, other: object) -> bool:
        return other is int or other is _Int

    def __hash__(cls) -> int:
        return hash(int)

    def __or__(cls, other: Any) -> Any:
        return int | other

    def __ror__(cls, other: Any) -> Any:
        return other | int


class _Int(metaclass=_IntMeta):
    from_bytes = int.from_bytes


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
    def prod(items: Any, *, start: Any = 1) -> Any:
        result = start
        for item in items:
            result = result * item
        return result


_MATH = _Math()


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
    """Shadow `int`, `len`, `math` and caches in every user module while tracing."""
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
        for key, stand_in in (("int", _Int), ("len", _len)):
            if key not in vars(module):
                done.append((module, key, None))
                vars(module)[key] = stand_in
        for key, held in list(vars(module).items()):
            if type(held) is functools._lru_cache_wrapper:
                done.append((module, key, held))
                vars(module)[key] = _uncached(held)
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
