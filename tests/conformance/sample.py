"""Transpile one live module, execute its text and compare it with torch."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

FLOOR = 64  # ulps of the largest value: rounding differs with the order of sums
DTYPES = {  # narrow floats may be computed in float32
    torch.bfloat16: (np.dtype(np.float32),),
    torch.float16: (np.dtype(np.float16), np.dtype(np.float32)),
}


class MismatchError(Exception):
    """The generated module's result isn't torch's."""


class TorchCannotRunError(Exception):
    """Torch itself fails on this sample here."""


@dataclass
class Sample:
    """A module in its mode, and the arguments of one forward call."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def check_sample(sample: Sample) -> str:
    """Raise where the generated module differs from torch; returns how it was judged.

    Outputs and the state after the call are held against torch in float64, with
    torch's own float32 error as yardstick. A module that draws random numbers is
    judged with its dropout probabilities at 0; one that still draws (in its very
    operation), by shape, dtype and finiteness.
    """
    import luxgen

    note = ""
    if _random(sample):
        _drop_dropout(sample.module)
        note = "p=0"
        if _random(sample):
            note = "random: shape, dtype and finiteness only"
    twin = copy.deepcopy(sample)
    generated = luxgen.transpile(copy.deepcopy(sample.module), twin.args, twin.kwargs)
    text = execute(generated.source)
    ours, ours_state = run_generated(text, generated.weights, sample)
    low = _forward(sample)
    if note.startswith("random"):
        compare(ours, low, None)
        return note
    high = _forward(_double(sample))
    compare(ours, low, high)
    _compare_state(ours_state, sample)
    return note


def execute(source: str) -> types.ModuleType:
    """Run a generated module's text."""
    module = types.ModuleType("generated")
    exec(compile(source, "<generated>", "exec"), module.__dict__)
    return module


def run_generated(
    text: types.ModuleType, weights: Mapping[str, np.ndarray], sample: Sample
) -> tuple[Any, dict[str, np.ndarray]]:
    """Outputs of `apply` in the sample's mode, and `state_dict` after the call."""
    ps, st = text.from_state_dict(weights)
    mode = "trainmode" if sample.module.training else "testmode"
    if hasattr(text, mode):
        st = getattr(text, mode)(st)
    args, kwargs = bind_inputs(text.apply, sample)
    out, st = text.apply(*args, ps, st, **kwargs)
    return out, text.state_dict(ps, st)


def bind_inputs(
    apply: Callable[..., Any], sample: Sample
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of `apply`: forward's required ones first, optional by keyword."""
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
    parameters = inspect.signature(apply).parameters
    positional = list(parameters)[: list(parameters).index("ps")]
    optional = [p for p in list(parameters)[len(positional) + 2 :] if p in flat]
    required = [name for name in flat if name not in optional]
    tensors = [name for name in required if _holds_tensor(flat[name])]
    if len(positional) == len(tensors):  # plain values are constants of the text
        required = tensors
    if len(positional) != len(required):
        raise MismatchError(f"apply takes {positional}, forward got {required}")
    return (
        [to_numpy(flat[name]) for name in required],
        {name: to_numpy(flat[name]) for name in optional},
    )


def _holds_tensor(item: Any) -> bool:
    return any(isinstance(leaf, torch.Tensor) for leaf in leaves(item))


def to_numpy(item: Any) -> Any:
    """Tensors inside tuples, lists and dicts as arrays that share nothing."""
    if isinstance(item, torch.Tensor):
        return _array(item).copy()
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*(to_numpy(v) for v in item))
    if isinstance(item, list | tuple):
        return type(item)(to_numpy(v) for v in item)
    if isinstance(item, dict):
        return {k: to_numpy(v) for k, v in item.items()}
    return item


def leaves(item: Any) -> list[Any]:
    """Tensors, arrays and numbers of nested outputs, in order, without the Nones."""
    if item is None:
        return []
    if isinstance(item, Mapping):
        return [leaf for value in item.values() for leaf in leaves(value)]
    if isinstance(item, list | tuple):
        return [leaf for value in item for leaf in leaves(value)]
    if dataclasses.is_dataclass(item):
        values = [getattr(item, f.name) for f in dataclasses.fields(item)]
        return [leaf for value in values for leaf in leaves(value)]
    return [item]


def compare(ours: Any, low: Any, high: Any | None) -> None:
    """Hold `ours` against torch's float32 (`low`) and float64 (`high`) results.

    With high=None only shape, dtype and finiteness count.
    """
    if type(low) is dict and (not isinstance(ours, dict) or list(ours) != list(low)):
        raise MismatchError(f"a dict with the keys {list(low)} is expected")
    a, b = leaves(ours), leaves(low)
    c = leaves(high) if high is not None else [None] * len(b)
    if not len(a) == len(b) == len(c):
        raise MismatchError(f"{len(a)} outputs; torch returns {len(b)}")
    for index, (mine, theirs, exact) in enumerate(zip(a, b, c, strict=True)):
        if isinstance(theirs, torch.Tensor):
            _compare_leaf(f"output {index}", np.asarray(mine), theirs, exact)
        elif mine != theirs:
            raise MismatchError(f"output {index}: {mine!r}; torch returns {theirs!r}")


def _compare_leaf(
    what: str, ours: np.ndarray, low: torch.Tensor, high: torch.Tensor | None
) -> None:
    theirs = _array(low)
    if ours.dtype not in DTYPES.get(low.dtype, (theirs.dtype,)):
        raise MismatchError(f"{what}: dtype {ours.dtype}; torch {low.dtype}")
    if ours.shape != theirs.shape:
        raise MismatchError(f"{what}: shape {ours.shape}; torch {theirs.shape}")
    if not np.issubdtype(theirs.dtype, np.inexact):
        if high is not None and not np.array_equal(ours, theirs):
            raise MismatchError(f"{what}: {theirs.dtype} values differ")
        return
    if high is None:
        if not np.array_equal(np.isfinite(ours).all(), np.isfinite(theirs).all()):
            raise MismatchError(f"{what}: not finite")
        return
    exact = _array(high)
    finite = np.isfinite(theirs) & np.isfinite(exact)
    if not np.array_equal(ours[~finite], theirs[~finite], equal_nan=True):
        raise MismatchError(f"{what}: infinities or NaNs differ")
    if not finite.any():
        return
    error = np.abs(ours - exact, where=finite, out=np.zeros(exact.shape)).max()
    own = np.abs(theirs - exact, where=finite, out=np.zeros(exact.shape)).max()
    floor = FLOOR * torch.finfo(low.dtype).eps * np.abs(exact[finite]).max()
    if not error <= 2 * own + floor:
        raise MismatchError(
            f"{what}: error {error:.2g}; torch's own {own:.2g}, allowed "
            f"{2 * own + floor:.2g}"
        )


def _compare_state(ours: Mapping[str, np.ndarray], sample: Sample) -> None:
    """Running statistics and other buffers after the call; parameters unchanged."""
    before = copy.deepcopy(sample)
    _forward(before, copied=False)
    exact = _double(sample)
    _forward(exact, copied=False)
    expected, precise = before.module.state_dict(), exact.module.state_dict()
    if set(ours) != set(expected):
        raise MismatchError(f"state_dict: {sorted(set(ours) ^ set(expected))} differ")
    for name, tensor in expected.items():
        _compare_leaf(name, np.asarray(ours[name]), tensor, precise[name])


def _forward(sample: Sample, *, copied: bool = True) -> Any:
    """Torch's outputs; the sample's own module and inputs stay as they are."""
    run = copy.deepcopy(sample) if copied else sample
    torch.manual_seed(0)
    with torch.no_grad():
        return run.module(*run.args, **run.kwargs)


def _double(sample: Sample) -> Sample:
    twin = copy.deepcopy(sample)
    return Sample(twin.module.double(), widened(twin.args), widened(twin.kwargs))


WIDER = {torch.float32: torch.float64, torch.complex64: torch.complex128}


def widened(item: Any) -> Any:
    """Copies of tensors (and dtypes) in nested arguments, float32 made float64."""
    if isinstance(item, torch.Tensor):
        return item.detach().clone().to(WIDER.get(item.dtype, item.dtype))
    if isinstance(item, torch.dtype):
        return WIDER.get(item, item)
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*(widened(v) for v in item))
    if isinstance(item, list | tuple):
        return type(item)(widened(v) for v in item)
    if isinstance(item, dict):
        return {k: widened(v) for k, v in item.items()}
    return item


def _random(sample: Sample) -> bool:
    """Whether two forwards from different seeds differ."""
    results = []
    for seed in (1, 2):
        twin = copy.deepcopy(sample)
        torch.manual_seed(seed)
        try:
            with torch.no_grad():
                results.append(leaves(twin.module(*twin.args, **twin.kwargs)))
        except Exception as error:
            raise TorchCannotRunError(str(error)) from error
    return any(
        isinstance(a, torch.Tensor) and not torch.equal(a.nan_to_num(), b.nan_to_num())
        for a, b in zip(*results, strict=True)
    )


def _drop_dropout(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.p = 0.0
        for name in ("dropout", "drop_prob", "dropout_p", "attn_drop_prob"):
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, 0.0)


def _array(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    array: np.ndarray = tensor.numpy()
    return array
