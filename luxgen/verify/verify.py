"""Execute the text that would be written and compare every layer with torch."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from luxgen.errors import VerificationError
from luxgen.frontends.dims import Size, resized
from luxgen.frontends.structure import to_arg
from luxgen.ir.values import Structure
from luxgen.verify.compare import NONE, Difference, compare_all
from luxgen.verify.gradients import compare_gradients
from luxgen.verify.recorder import Recorder, arrays_in
from luxgen.verify.reference import Results, run_torch, to_numpy
from luxgen.verify.report import GRADIENTS, OUTPUT, Report, Row


def load(
    text: str,
    name: str,
    extra: dict[str, Any] | None = None,
    weights: Mapping[str, Any] | None = None,
) -> types.ModuleType:
    """Execute module text without a file; `weights` hold what it would read from one."""
    module = types.ModuleType(name)
    module.__dict__.update(extra or {})
    sys.modules.setdefault(name, module)
    exec(compile(text, f"<{name}>", "exec"), module.__dict__)
    stored = module.__dict__.get("STORED", ())
    if stored and weights is not None:
        module.__dict__["_stored"] = lambda: {n: weights[n] for n in stored}
    return module


def verify(
    model: nn.Module,
    text: str,
    probed: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    free: list[Size],
    weights: dict[str, np.ndarray[Any, Any]],
) -> Report:
    """Both modes at the traced sizes and at sizes that were never traced.

    Args:
        text: the module as it will be written; `probed`: the same with recorder calls.
        free: the free sizes; their third value was not traced.
        weights: what `from_state_dict` takes.
    """
    report = Report()
    table: dict[str, tuple[str, Difference]] = {}
    layers = {n: type(m).__name__ for n, m in model.named_modules()}
    runs = [
        (training, which)
        for training in (False, True)
        for which in ((0, 2) if free else (0,))
    ]
    module = load(text, "luxgen_generated", weights=weights)
    recorder_names = Recorder().names()
    watched = load(probed, "luxgen_probed", recorder_names, weights)
    ps, st = _trees(module, weights)
    saved = {n for n, t in model.state_dict().items() if isinstance(t, torch.Tensor)}
    if saved != module.state_dict(ps, st).keys():
        raise VerificationError("state_dict(from_state_dict(w)) has other keys than w")
    for training, which in runs:
        sizes = resized(args, kwargs, free, which)
        rows = _run(model, watched, module, ps, st, sizes, training)
        label = (
            ", ".join(f"{s.name}={s.values[which]}" for s in free)
            or "the example's sizes"
        )
        report.runs.append(f"{'train' if training else 'eval'} {label}")
        for name, each in rows:
            layer, before = table.get(name, (layers.get(name, ""), NONE))
            table[name] = (layer, before.worst(each))
    last = [(name, table.pop(name)) for name in (OUTPUT, GRADIENTS)]
    for name, (layer, each) in [*table.items(), *last]:
        if name == GRADIENTS and not hasattr(module, "vjp"):
            continue
        report.rows.append(
            Row(name, layer, each.ours, each.torch, each.passed, each.reason)
        )
    return report


def _trees(module: types.ModuleType, weights: Mapping[str, Any]) -> tuple[Any, Any]:
    """The trees as `from_state_dict` builds them, but without its copies of the arrays."""
    if stored := getattr(module, "_constants", None):
        weights = {**stored(), **weights}

    def leaf(name: str, *shape: int, dtype: str = "float32") -> Any:
        array = weights[name]
        if array.shape != shape:
            raise VerificationError(f"{name} has shape {array.shape}, not {shape}")
        return array.astype(np.promote_types(array.dtype, dtype), copy=False)

    seeds = inspect.signature(module._state).parameters.get("seeds")
    more = () if seeds is None else (iter(range(1 << 20)),)
    return module._params(leaf), module._state(leaf, *more)


def _run(
    model: nn.Module,
    watched: types.ModuleType,
    module: types.ModuleType,
    ps: Any,
    st: Any,
    sizes: tuple[Any, Any],
    training: bool,
) -> list[tuple[str, Difference]]:
    """Every layer's difference by path, then the result's and the gradients'."""
    args, kwargs = sizes
    recorder = Recorder()
    watched.__dict__.update(recorder.names())
    w_ps, w_st = _moved(watched, ps), _moved(watched, st)
    if hasattr(module, "trainmode"):
        change = "trainmode" if training else "testmode"
        w_st, st = getattr(watched, change)(w_st), getattr(module, change)(st)
    inputs = call_arguments(model, module, args, kwargs)
    ours_probed, _ = watched.apply(*inputs[0], w_ps, w_st, **inputs[1])
    low, low_layers, buffers = run_torch(
        model, args, kwargs, training=training, drawn=recorder.random, double=False
    )
    try:
        high, high_layers, true_buffers = run_torch(
            model, args, kwargs, training=training, drawn=recorder.random, double=True
        )
    except Exception:  # some op has no float64 kernel: torch's float32 is the truth
        high, high_layers, true_buffers = low, low_layers, buffers
    gradients = NONE
    total = compare_all(arrays_in(ours_probed), _flat(low), _flat(high))
    acted = bool(recorder.inner) if training else True in recorder.inner
    if hasattr(module, "vjp") and not acted:
        gradients = compare_gradients(
            model, module, (args, kwargs), inputs, (ps, st), recorder.random,
            training=training,
        )  # fmt: skip
    if not acted:  # else the text draws what torch can't be given
        ours, new = module.apply(*inputs[0], ps, st, **inputs[1])
        plain = compare_all(arrays_in(ours), _flat(low), _flat(high))
        state = _state(module, ps, new, buffers, true_buffers)
        total = total.worst(plain).worst(state)
    layers = _layers(recorder, low_layers, high_layers)
    return [*layers, (OUTPUT, total), (GRADIENTS, gradients)]


def _moved(module: types.ModuleType, tree: Any) -> Any:
    """The same tree in the classes of another copy of the module."""
    if isinstance(tree, tuple):
        parts = [_moved(module, part) for part in tree]
        if hasattr(tree, "_fields"):
            return getattr(module, type(tree).__name__)(*parts)
        return tuple(parts)
    return tree


def _state(
    module: types.ModuleType,
    ps: Any,
    st: Any,
    buffers: dict[str, Any],
    truth: dict[str, Any],
) -> Difference:
    """Buffers after the call, against torch's; `truth` in float64 where known."""
    total = NONE
    for name, array in module.state_dict(ps, st).items():
        if name in buffers:
            true = [truth[name]] if name in truth else []
            # The mean of normalised values is noise around 0, but an average of them.
            each = compare_all([np.asarray(array)], [buffers[name]], true, 2.0**-6)
            if not each.passed:
                total = total.worst(
                    Difference(each.ours, each.torch, f"buffer {name}: {each.reason}")
                )
    return total


def _layers(
    recorder: Recorder, low: Results, high: Results
) -> list[tuple[str, Difference]]:
    """Every module that both sides noted, paired by path and call number."""
    seen: dict[str, int] = {}
    by_path: dict[str, list[int]] = {}
    for k, (name, _) in enumerate(low):
        by_path.setdefault(name, []).append(k)
    rows = []
    for name, value in recorder.results:
        count = seen.get(name, 0)
        seen[name] = count + 1
        calls = by_path.get(name, [])
        if name and count < len(calls):
            k = calls[count]
            ours = arrays_in(value)
            truth = high[k][1] if k < len(high) else []
            if len(ours) == len(low[k][1]):
                rows.append((name, compare_all(ours, low[k][1], truth)))
    return rows


def call_arguments(
    model: nn.Module,
    module: types.ModuleType,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[list[Any], dict[str, Any]]:
    """Torch's call as the generated `apply` takes it: required first, then by keyword."""
    bound = inspect.signature(model.forward).bind(*args, **kwargs).arguments
    flat: dict[str, Any] = {}
    for name, value in bound.items():
        kind = inspect.signature(model.forward).parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            flat |= value
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            flat |= {f"{name}_{k}": v for k, v in enumerate(value)}
        else:
            flat[name] = value
    signature = inspect.signature(module.apply).parameters
    wanted = list(module.INPUTS)
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    names = [n for n in signature if n not in ("ps", "st")]
    for given, formal in zip(wanted, names, strict=True):
        value = _arrays(flat[given])
        if signature[formal].kind is inspect.Parameter.KEYWORD_ONLY:
            keywords[formal] = value
        else:
            positional.append(value)
    return positional, keywords


def _arrays(item: Any) -> Any:
    return _plain(
        to_arg(item, lambda v: to_numpy(v) if isinstance(v, torch.Tensor) else v)
    )


def _plain(item: Any) -> Any:
    if isinstance(item, Structure):
        return types.SimpleNamespace(**{k: _plain(v) for k, v in item.fields})
    if isinstance(item, (tuple, list)):
        return type(item)(_plain(v) for v in item)
    if isinstance(item, dict):
        return {k: _plain(v) for k, v in item.items()}
    return item


def _flat(item: Any) -> list[Any]:
    if isinstance(item, Structure):
        return [a for _, v in item.fields for a in _flat(v)]
    if isinstance(item, np.ndarray):
        return [item]
    if isinstance(item, (tuple, list)):
        return [a for v in item for a in _flat(v)]
    if isinstance(item, dict):
        return [a for v in item.values() for a in _flat(v)]
    return []
