"""Transpile a small model and compare it with torch: results, state, purity."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import types
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import luxgen
from luxgen.errors import Site, UnsupportedError

Array = np.ndarray[Any, Any]
FLOOR = 16  # ulps of the largest value that ours may err beyond twice torch's error
LEAST = 2.0**-6  # what should cancel to 0 is noise
MODES = ("eval", "train")

torch.set_num_threads(1)


def agree(
    model: nn.Module,
    *args: Any,
    batches: tuple[int, ...] = (5,),
    others: tuple[tuple[Any, ...], ...] = (),
    modes: tuple[str, ...] = MODES,
    **kwargs: Any,
) -> luxgen.Generated:
    """Compare with torch at the given inputs, at other batch sizes and at `others`.

    Each comparison calls twice, the second time with the state of the first. Only
    for models that draw nothing at random in `modes`; `drawn` is for those.
    """
    made = luxgen.transpile(model, args, kwargs)
    assert made.report.passed, made.report.lines()
    inputs = [(args, kwargs), *((other, {}) for other in others)]
    inputs += [(resized(args, n), resized(kwargs, n)) for n in batches]
    for mode in modes:
        for each, options in inputs:
            compare(model, made, each, options, mode)
    return made


def compare(
    model: nn.Module, made: luxgen.Generated, args: Any, kwargs: Any, mode: str
) -> None:
    """Two calls in a row in one mode, beside torch in float32 and float64."""
    module = made.load()
    low = copy.deepcopy(model).train(mode == "train")
    high = widened(low)
    ps, st = module.from_state_dict(made.weights)
    if hasattr(module, "trainmode"):
        st = module.trainmode(st) if mode == "train" else module.testmode(st)
    for call in (1, 2):
        what = f"{mode}, call {call}"
        before = snapshot((ps, st))
        positional, keywords = as_numpy(model, module, args, kwargs)
        inputs = snapshot((positional, keywords))
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # correct code raises none
            ours, new = module.apply(*positional, ps, st, **keywords)
        assert snapshot((ps, st)) == before, f"{what}: apply changed ps or st"
        assert snapshot((positional, keywords)) == inputs, f"{what}: apply changed x"
        with torch.no_grad():
            theirs = low(*copied(args), **copied(kwargs))
            truth = in_double(high, args, kwargs, theirs)
        same(ours, theirs, truth, what)
        same_state(module, ps, new, low, high, what)
        assert kinds(new) == kinds(st), f"{what}: the state changed its structure"
        st = new
    round_trip(model, module, ps, st)


def drawn(model: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Verified against torch with the generated module's own draws; module, ps, st."""
    made = luxgen.transpile(model, args, kwargs)
    assert made.report.passed, made.report.lines()
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    return module, ps, st


def refused(model: nn.Module, *args: Any, **kwargs: Any) -> tuple[Site, ...]:
    """The places that luxgen says it can't translate."""
    with pytest.raises(UnsupportedError) as caught:
        luxgen.transpile(model, args, kwargs)
    assert caught.value.sites
    return caught.value.sites


# -- torch's side -----------------------------------------------------------------


def widened(model: nn.Module) -> nn.Module | None:
    """A float64 copy as the truth, for models that are float32 throughout."""
    tensors = [*model.parameters(), *model.buffers()]
    floats = [t for t in tensors if t.is_floating_point() or t.is_complex()]
    if not floats or any(t.dtype != torch.float32 for t in floats):
        return None
    return copy.deepcopy(model).double()


def in_double(high: nn.Module | None, args: Any, kwargs: Any, otherwise: Any) -> Any:
    """The result in float64; `otherwise` for forwards that are bound to float32."""
    if high is None:
        return otherwise
    try:
        return high(*doubled(args), **doubled(kwargs))
    except RuntimeError:
        return otherwise


def doubled(item: Any) -> Any:
    return mapped(lambda t: t.double() if t.dtype == torch.float32 else t.clone(), item)


def copied(item: Any) -> Any:
    return mapped(torch.Tensor.clone, item)


def resized(item: Any, batch: int) -> Any:
    """Every tensor with `batch` rows, the given rows again and again."""

    def rows(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.dim():
            return tensor
        return tensor[torch.arange(batch) % tensor.shape[0]]

    return mapped(rows, item)


def mapped(visit: Any, item: Any) -> Any:
    """`visit` applied to every tensor inside containers and records."""
    if isinstance(item, torch.Tensor):
        return visit(item)
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*(mapped(visit, v) for v in item))
    if isinstance(item, (tuple, list)):
        return type(item)(mapped(visit, v) for v in item)
    if isinstance(item, dict):
        return {k: mapped(visit, v) for k, v in item.items()}
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        fields = {f.name: getattr(item, f.name) for f in dataclasses.fields(item)}
        return type(item)(**{k: mapped(visit, v) for k, v in fields.items()})
    return item


# -- our side ---------------------------------------------------------------------


def numpy_of(tensor: torch.Tensor) -> Array:
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.float()
    return np.array(tensor.numpy())


def as_numpy(
    model: nn.Module, module: types.ModuleType, args: Any, kwargs: Any
) -> tuple[list[Any], dict[str, Any]]:
    """Required arguments by position, in forward's order; the others by name."""
    bound = inspect.signature(model.forward).bind(*args, **kwargs).arguments
    required = [
        name for name, p in inspect.signature(model.forward).parameters.items()
        if p.default is inspect.Parameter.empty and name in bound
    ]  # fmt: skip
    positional, keywords = [], {}
    taken = dict(zip(module.INPUTS, formal_names(module), strict=True))
    for name, value in bound.items():
        kind = inspect.signature(model.forward).parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            positional += [plain(v) for v in value]
        elif kind is inspect.Parameter.VAR_KEYWORD:
            keywords |= {k: plain(v) for k, v in value.items()}
        elif name not in taken:
            continue  # a constant of this call: None, a flag
        elif name in required:
            positional.append(plain(value))
        else:
            keywords[taken[name]] = plain(value)
    return positional, keywords


def formal_names(module: types.ModuleType) -> list[str]:
    return [n for n in inspect.signature(module.apply).parameters if n not in RESERVED]


RESERVED = ("ps", "st")


def plain(item: Any) -> Any:
    return mapped(numpy_of, item)


# -- comparison -------------------------------------------------------------------


def same(ours: Any, low: Any, high: Any, what: str) -> None:
    """Structure, dtype, shape and value of a result against torch's."""
    if dataclasses.is_dataclass(low):
        names = [
            f.name for f in dataclasses.fields(low) if getattr(low, f.name) is not None
        ]
        assert list(ours._fields) == names, what
        low, high = ([getattr(r, n) for n in names] for r in (low, high))
        ours = list(ours)
    if isinstance(low, tuple) and hasattr(low, "_fields"):
        assert ours._fields == low._fields, what
    if isinstance(low, dict):
        assert list(ours) == list(low), what
        for key in low:
            same(ours[key], low[key], high[key], f"{what}, {key!r}")
    elif isinstance(low, (tuple, list)):
        assert isinstance(ours, type(low) if type(low) is list else tuple), what
        assert len(ours) == len(low), what
        for k, (a, b, c) in enumerate(zip(ours, low, high, strict=True)):
            same(a, b, c, f"{what}, result {k}")
    elif isinstance(low, torch.Tensor):
        close(np.asarray(ours), numpy_of(low), numpy_of(high), what)
    else:
        assert ours == low and type(ours) is type(low), (
            f"{what}: {ours!r}, torch {low!r}"
        )


def close(ours: Array, low: Array, high: Array, what: str) -> None:
    """Ours may err by twice torch's own float32 error plus FLOOR ulps."""
    assert ours.dtype == low.dtype, f"{what}: {ours.dtype}, torch {low.dtype}"
    assert ours.shape == low.shape, f"{what}: {ours.shape}, torch {low.shape}"
    if not np.issubdtype(low.dtype, np.inexact):
        np.testing.assert_array_equal(ours, low, what)
        return
    finite = np.isfinite(low) & np.isfinite(high)
    np.testing.assert_array_equal(ours[~finite], low[~finite], what)
    if not finite.any():
        return
    ours, low, high = ours[finite], low[finite], high[finite]
    scale = max(float(np.abs(high).max()), LEAST)
    error = float(np.abs(ours - high).max()) / scale
    own = float(np.abs(low - high).max()) / scale
    limit = 2 * own + FLOOR * float(np.finfo(low.dtype).eps)
    assert error <= limit, f"{what}: error {error:.2e} > {limit:.2e}"


def same_state(
    module: types.ModuleType, ps: Any, st: Any, low: Any, high: Any, what: str
) -> None:
    """Every parameter and buffer, those that aren't persistent included."""
    ours = module.state_dict(ps, st)
    truth = dict((low if high is None else high).state_dict())
    for name, tensor in low.state_dict().items():
        if isinstance(tensor, torch.Tensor):
            close(
                np.asarray(ours[name]),
                numpy_of(tensor),
                numpy_of(truth[name]),
                f"{what}, {name}",
            )
    truth = dict((low if high is None else high).named_buffers())
    for name, tensor in low.named_buffers():
        if name in ours:
            close(
                np.asarray(ours[name]),
                numpy_of(tensor),
                numpy_of(truth[name]),
                f"{what}, {name}",
            )


def round_trip(model: nn.Module, module: types.ModuleType, ps: Any, st: Any) -> None:
    """state_dict loads back into torch and into the module; ravel is undone."""
    held = module.state_dict(ps, st)
    wanted = model.state_dict()
    tensors = {k: torch.from_numpy(np.array(held[k])) for k in wanted}
    copy.deepcopy(model).load_state_dict(tensors, strict=True)
    again = module.from_state_dict(held)
    assert snapshot(again[0]) == snapshot(ps)
    assert snapshot(module.state_dict(*again)) == snapshot(held)
    vector = module.ravel(ps)
    assert vector.size == module.NUM_PARAMETERS == unique_parameters(model)
    assert snapshot(module.unravel(vector)) == snapshot(ps)


def unique_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def snapshot(item: Any) -> Any:
    """Nested values by content: equal snapshots, equal bits."""
    if isinstance(item, (np.ndarray, np.generic)):
        return (str(item.dtype), item.shape, item.tobytes())
    if isinstance(item, (tuple, list)):
        return [snapshot(v) for v in item]
    if isinstance(item, dict):
        return {k: snapshot(v) for k, v in item.items()}
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return snapshot(vars(item))
    return item


def kinds(tree: Any) -> Any:
    """The classes of a tree and its leaves' dtypes and shapes."""
    if isinstance(tree, tuple):
        return type(tree).__name__, [kinds(v) for v in tree]
    if isinstance(tree, (np.ndarray, np.generic)):
        return str(tree.dtype), tree.shape
    return type(tree).__name__


def each_array(item: Any) -> Iterator[Array]:
    """Every array inside a result, in order."""
    if isinstance(item, (np.ndarray, np.generic)):
        yield np.asarray(item)
    elif isinstance(item, (tuple, list)):
        for value in item:
            yield from each_array(value)
    elif isinstance(item, dict):
        for value in item.values():
            yield from each_array(value)
