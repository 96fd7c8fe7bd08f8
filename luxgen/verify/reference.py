"""Torch's results for verification: float32 as the model runs, and float64 as truth."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from luxgen.frontends.bind import canonical
from luxgen.frontends.fractional import with_samples
from luxgen.frontends.running import unchanged
from luxgen.frontends.structure import tensors_in, to_arg
from luxgen.frontends.vocabulary import RANDOM
from luxgen.verify.recorder import Drawn
from luxgen.verify.redraw import MASKED, redrawn

Results = list[tuple[str, list[np.ndarray[Any, Any]]]]
_HALVES = {torch.float16, torch.bfloat16, torch.float32}


class GivenDraws(TorchFunctionMode):
    """Random functions return what the generated module drew."""

    def __init__(self, drawn: list[Drawn]) -> None:
        super().__init__()
        self.drawn = iter(drawn)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = canonical(func)[0]
        base = name.removesuffix("_")
        if "dropout_p" in kwargs:
            kwargs["dropout_p"] = 0.0
        kwargs = with_samples(name, args, kwargs, torch.Tensor.size, self._rand)
        if base not in RANDOM or not _is_random(base, args, kwargs):
            return func(*args, **kwargs)
        drawn = next(self.drawn, None)
        if drawn is None or drawn[0] != base:
            return func(*args, **kwargs)
        value = redrawn(func, args, kwargs, drawn)
        if value is None:
            value = torch.from_numpy(np.array(drawn[1]))
        if name.endswith("_"):
            return args[0].copy_(value)
        return value

    def _rand(self, size: tuple[int, ...], dtype: torch.dtype) -> Any:
        return self.__torch_function__(torch.rand, (), size, {"dtype": dtype})


def _is_random(name: str, args: Any, kwargs: Any) -> bool:
    if name in MASKED:
        p = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
        training = args[2] if len(args) > 2 else kwargs.get("training", True)
        return bool(training) and p > 0
    if name == "rrelu":
        training = args[3] if len(args) > 3 else kwargs.get("training", False)
        return bool(training)
    return True


class _Double(TorchFunctionMode):
    """Computes in float64; parameters are widened one at a time, where they are used."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = canonical(func)[0]
        if name in ("shape", "dtype", "device", "size", "dim") or name.endswith("_"):
            return func(*args, **(kwargs or {}))
        if name in ("float", "half", "bfloat16"):
            func = torch.Tensor.double
        args, kwargs = widened((args, kwargs or {}))
        return func(*args, **kwargs)


@contextmanager
def in_double() -> Iterator[None]:
    """Every float op computes in float64, as torch's truth does."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Double():
            yield
    finally:
        torch.set_default_dtype(default)


def widened(item: Any) -> Any:
    """Tensors and dtypes in containers, as float64 or complex128."""
    if isinstance(item, torch.Tensor):
        if isinstance(item, nn.Parameter) and item.dtype is torch.float32:
            # NumPy's memory is used again at once; torch's aligned blocks pile up.
            return torch.from_numpy(item.detach().numpy().astype(np.float64))
        return (
            item.double()
            if item.dtype in _HALVES
            else (item.to(torch.complex128) if item.dtype is torch.complex64 else item)
        )
    if item in _HALVES if isinstance(item, torch.dtype) else False:
        return torch.float64
    if isinstance(item, tuple) and type(item) is not tuple:
        return item
    if isinstance(item, (tuple, list)):
        return type(item)(widened(v) for v in item)
    if isinstance(item, dict):
        return {k: widened(v) for k, v in item.items()}
    return item


@contextmanager
def without_inner_dropout(model: nn.Module) -> Iterator[None]:
    """Dropout inside attention and RNNs off: its mask can't be given from outside."""
    changed = []
    for module in model.modules():
        if isinstance(module, (nn.MultiheadAttention, nn.RNNBase)):
            changed.append((module, module.dropout))
            module.dropout = 0.0
    try:
        yield
    finally:
        for module, value in changed:
            module.dropout = value


@contextmanager
def _noted(model: nn.Module, results: Results) -> Iterator[None]:
    """Hooks that note what every module returned."""
    handles = []
    for name, module in model.named_modules():

        def note(_m: nn.Module, _i: Any, out: Any, name: str = name) -> None:
            with torch._C.DisableTorchFunction():
                results.append((name, [to_numpy(t) for t in tensors_in(out)]))

        handles.append(module.register_forward_hook(note))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def to_numpy(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    plain = tensor.detach().resolve_conj().resolve_neg()
    if plain.dtype in (torch.float16, torch.bfloat16):
        plain = plain.float()
    return np.array(plain.numpy())


def to_view(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """The tensor's own memory, where NumPy has its dtype: no copy of large weights."""
    plain = tensor.detach().resolve_conj().resolve_neg()
    if plain.dtype in (torch.float16, torch.bfloat16):
        plain = plain.float()
    view: np.ndarray[Any, Any] = plain.numpy()
    return view


def run_torch(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    training: bool,
    drawn: list[Drawn],
    double: bool,
) -> tuple[Any, Results, dict[str, np.ndarray[Any, Any]]]:
    """Result (arrays in torch's structure), every module's results, buffers after."""
    results: Results = []
    if double:
        model = _double_copy(model)
    with unchanged(model), torch.no_grad(), ExitStack() as stack:
        model.train(training)
        stack.enter_context(_noted(model, results))
        if training:
            stack.enter_context(without_inner_dropout(model))
        args, kwargs = _copies((args, kwargs))
        if double:
            args, kwargs = widened((args, kwargs))
            stack.enter_context(in_double())
        stack.enter_context(GivenDraws(drawn))
        out = model(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            structure = to_arg(
                out, lambda v: to_numpy(v) if isinstance(v, torch.Tensor) else v
            )
            buffers = {n: to_numpy(b) for n, b in model.named_buffers()}
    return structure, results, buffers


def _double_copy(model: nn.Module) -> nn.Module:
    """A float64 copy, so that layers which look at their own dtype agree with it.

    A large model isn't copied: its parameters are widened where they are used.
    """
    if sum(p.numel() for p in model.parameters()) > _COPIED:
        return model
    try:
        return copy.deepcopy(model).double()
    except Exception:  # a model that can't be copied
        return model


_COPIED = 20_000_000  # parameters


def _copies(item: Any) -> Any:
    if isinstance(item, torch.Tensor):
        return item.clone()
    if isinstance(item, (tuple, list)) and type(item) in (tuple, list):
        return type(item)(_copies(v) for v in item)
    if type(item) is dict:
        return {k: _copies(v) for k, v in item.items()}
    return item
