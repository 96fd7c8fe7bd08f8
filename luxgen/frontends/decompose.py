"""One torch call as the ATen ops it is made of, for calls that no rule translates.

The call runs under a dispatch mode. What arrives there with a rule is recorded; what
has none is taken apart by torch's core-ATen decompositions, and what these leave
without a rule is named in `missing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch._decomp import core_aten_decompositions
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from luxgen.frontends.bind import (
    ALIASES,
    DTYPE_FREE,
    Call,
    _equal,
    _in_place,
    _plain,
)
from luxgen.frontends.vocabulary import RANDOM

HasRule = Callable[[str], bool]
Overload = Any  # torch._ops.OpOverload
Record = Callable[[Call, Overload, tuple[Any, ...], dict[str, Any]], Any]

# ATen's names for arguments that the functions of torch call otherwise.
_ARGUMENTS = {("embedding", "indices"): "input"}
# How ATen is to compute, which changes no value.
_HOW = DTYPE_FREE | {"half_to_float", "cudnn_enable", "cudnn_enabled", "generator"}
# ATen ops that do what another one does.
_NAMES = {
    "_unsafe_view": "view", "_reshape_alias": "view", "_unsafe_index": "index",
    "_unsafe_index_put": "index_put", "lift_fresh": "alias", "lift_fresh_copy": "clone",
}  # fmt: skip


def every_rule(_name: str) -> bool:
    """Nothing is taken apart."""
    return True


class Decomposer(TorchDispatchMode):
    """Hands each ATen call with a rule to `record`, which runs it."""

    def __init__(self, has_rule: HasRule, record: Record) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.has_rule, self.record = has_rule, record
        self.missing: list[str] = []

    def __torch_dispatch__(
        self,
        func: Overload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        call = bind_aten(func, args, kwargs)
        drawn = call.name in RANDOM or torch.Tag.nondeterministic_seeded in func.tags
        if self._has_rule(func, call) and not drawn:
            return self.record(call, func, args, kwargs)
        if not drawn:
            with self:
                done, out = _taken_apart(func, args, kwargs)
            if done:
                return out
        self.missing.append(call.name)
        return func(*args, **kwargs)

    def _has_rule(self, func: Overload, call: Call) -> bool:
        return func.namespace == "aten" and self.has_rule(call.name)


def _taken_apart(
    func: Overload, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[bool, Any]:
    """Whether there is a decomposition, and its result."""
    if func.namespace == "prims":
        return True, func.impl_aten(*args, **kwargs)
    decomposition = _table().get(func)
    if decomposition is not None:
        out = decomposition(*args, **kwargs)
    else:
        out = func.decompose(*args, **kwargs)
    return out is not NotImplemented, out


@cache
def _table() -> dict[Overload, Callable[..., Any]]:
    return dict(core_aten_decompositions())


def bind_aten(func: Overload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Bind a dispatched call by its own schema, as `bind` does for torch functions."""
    packet = func.overloadpacket.__name__
    inplace = _in_place(packet)
    name = packet.removesuffix("_") if inplace else packet
    name = _NAMES.get(name, name)
    name = ALIASES.get(name, name)
    formals = func._schema.arguments
    positional = [a.name for a in formals if not a.kwarg_only]
    given = dict(zip(positional, args, strict=False)) | kwargs
    bound: dict[str, Any] = {}
    for formal in formals:
        if formal.name not in given or formal.name in _HOW:
            continue
        value = given[formal.name]
        if formal.has_default_value() and _equal(value, formal.default_value):
            continue
        own = "input" if formal.name == "self" else formal.name
        bound[_ARGUMENTS.get((name, own), own)] = _plain(value)
    return Call(name, bound, inplace, func._schema.overload_name)


@contextmanager
def taken_apart(has_rule: HasRule, record: Record) -> Iterator[Decomposer]:
    """Calls inside are seen as ATen ops, attention as its matrix products."""
    with sdpa_kernel(SDPBackend.MATH), Decomposer(has_rule, record) as decomposer:
        yield decomposer
