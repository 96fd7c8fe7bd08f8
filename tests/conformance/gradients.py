"""Gradients of one live module's text against torch.autograd."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tests.conformance.compare import MismatchError, as_array, compare_leaf, leaves
from tests.conformance.quotients import NoQuotientError, check_quotients
from tests.conformance.reference import (
    Sample,
    TorchCannotRunError,
    Widening,
    is_random,
    stop_dropout,
    widened,
)
from tests.conformance.sample import bind_torch, to_numpy, trees

SHARE = 2.0**-4  # smaller gradients are judged as if at this part of the largest
SEED = 0  # of torch's random numbers, and of the cotangents

Tensors = dict[str, torch.Tensor]
Arrays = Mapping[str, np.ndarray]


class NoGradientError(Exception):
    """The sample's results depend on nothing that has a gradient."""


def leaf_sample(sample: Sample) -> Sample:
    """The sample with a leaf tensor of its own at every place among its inputs."""

    def own(item: Any) -> Any:
        if isinstance(item, torch.Tensor):
            return item.detach().clone().requires_grad_(item.requires_grad)
        return item

    args, kwargs = _mapped((sample.args, sample.kwargs), own)
    return Sample(sample.module, args, kwargs)


def check_gradients(sample: Sample) -> str:
    """Raise where our gradients differ from torch's; returns how it was judged.

    What counts is every positional input and parameter that requires a gradient.
    Dropout probabilities are set to 0; what still draws random numbers is held against
    difference quotients of our own forward, whose draws the state fixes.
    """
    _require_arrays(sample.args)
    notes: list[str] = []
    if is_random(sample):
        stop_dropout(sample.module)
        if is_random(sample):
            check_differences(_doubled(sample))
            return "difference quotients"
        notes.append("p=0")
    low = _autograd(sample)
    high = _autograd_in_float64(sample)
    if high is None:
        notes.append("torch has no float64 form, float32 is the yardstick")
        high = widened(low)
    found, _ = _Subject.made(sample).gradients()
    sizes = [np.abs(as_array(t)) for t in high.values()]
    finite = [a[np.isfinite(a)].max(initial=0.0) for a in sizes]
    least = SHARE * float(max(finite, default=0.0))
    for name, ours in found.items():
        if name in low:
            compare_leaf(name, _given(name, ours), low[name], high[name], least)
    return ", ".join(notes)


def check_differences(sample: Sample) -> None:
    """Raise where our gradients aren't difference quotients of our own forward.

    The sample is in float64. Where torch's own gradient isn't its difference quotient
    either (at a kink), TorchCannotRunError is raised.
    """
    _require_arrays(sample.args)
    torchs = _autograd(sample)
    subject = _Subject.made(sample)
    found, dy = subject.gradients()
    wanted = {n: _given(n, d) for n, d in found.items() if n in torchs}
    at = {n: as_array(t) for n, t in _leaf_tensors(sample).items() if n in wanted}

    def theirs(changed: Arrays) -> float:
        twin = copy.deepcopy(sample)
        for name, tensor in _leaf_tensors(twin).items():
            if name in changed:
                tensor.data = torch.from_numpy(changed[name])
        with torch.no_grad():
            return _paired(dy, to_numpy(_forward(twin)))

    try:
        check_quotients(lambda changed: _paired(dy, subject.apply(changed)), at, wanted)
    except (MismatchError, NoQuotientError):
        try:
            own = {n: as_array(torchs[n]) for n in wanted}
            check_quotients(theirs, at, own)
        except (MismatchError, NoQuotientError) as error:
            raise TorchCannotRunError(f"torch's own: {error}") from error
        raise


@dataclass
class _Subject:
    """A generated module with its weights, and the sample's call of it."""

    sample: Sample
    text: types.ModuleType
    weights: Arrays

    @classmethod
    def made(cls, sample: Sample) -> _Subject:
        """Transpile with gradients; the sample stays as it is."""
        import luxgen

        twin = copy.deepcopy(sample)
        for tensor in _inputs(twin).values():
            tensor.requires_grad_(False)
        made = luxgen.transpile(
            twin.module, twin.args, twin.kwargs, grad=True, check=False
        )
        return cls(sample, made.load(), made.weights)

    def _arguments(self, changed: Arrays) -> tuple[Any, Any, Any, Any]:
        """Inputs, keyword inputs, ps and st, with some leaves replaced."""
        weights = {n: changed.get(n, a) for n, a in self.weights.items()}
        ps, st = trees(self.text, weights, training=self.sample.module.training)
        names = {id(t): n for n, t in _inputs(self.sample).items()}

        def visit(item: Any) -> Any:
            array = changed.get(names.get(id(item), ""))
            return to_numpy(item) if array is None else array

        args, kwargs = bind_torch(self.text.apply, self.sample)
        return _mapped(args, visit), _mapped(kwargs, visit), ps, st

    def apply(self, changed: Arrays) -> Any:
        """The results, with some leaves replaced."""
        args, kwargs, ps, st = self._arguments(changed)
        return self.text.apply(*args, ps, st, **kwargs)[0]

    def gradients(self) -> tuple[dict[str, Any], Any]:
        """Gradients by name, and the cotangents of the results that they are for.

        The pullback must not change what it is given, and answer again alike.
        """
        args, kwargs, ps, st = self._arguments({})
        y, _, pullback = self.text.vjp(*args, ps, st, **kwargs)
        dy = cotangents(y)
        before = copy.deepcopy((args, kwargs, y, dy))
        first = self._named(st, pullback(dy))
        kept = {n: np.array(a) for n, a in first.items() if a is not None}
        again = self._named(st, pullback(dy))
        for name, array in kept.items():
            if not np.array_equal(array, again[name], equal_nan=True):
                raise MismatchError(f"{name}: another gradient in a second pullback")
        pairs = zip(_flat(before), _flat((args, kwargs, y, dy)), strict=True)
        if not all(np.array_equal(a, b, equal_nan=_inexact(a)) for a, b in pairs):
            raise MismatchError("the pullback changed inputs, results or cotangents")
        return first, dy

    def _named(self, st: Any, given: tuple[Any, ...]) -> dict[str, Any]:
        *dxs, dps = given
        found = dict(self.text.state_dict(dps, st))
        args, _ = bind_torch(self.text.apply, self.sample)
        if len(dxs) != len(args):
            raise MismatchError(f"{len(dxs)} cotangents for {len(args)} inputs")
        names = {id(t): n for n, t in _inputs(self.sample).items()}
        for arg, dx in zip(args, dxs, strict=True):
            for tensor, d in zip(_tensors(arg), _flat(dx), strict=True):
                found[names[id(tensor)]] = d
        return found


def cotangents(y: Any) -> Any:
    """Random cotangents in the structure of y, None for what isn't a float array."""
    rng = np.random.default_rng(SEED)

    def drawn(item: Any) -> Any:
        if not isinstance(item, (np.ndarray, np.generic)) or not _inexact(item):
            return None
        real, imaginary = rng.standard_normal((2, *item.shape))
        both = real + 1j * imaginary if np.iscomplexobj(item) else real
        return np.asarray(both, item.dtype)

    return _mapped(y, drawn)


def _autograd(sample: Sample) -> Tensors:
    """Torch's gradients for `cotangents`; zeros for what the results don't read."""
    twin = copy.deepcopy(sample)
    wanted = _leaf_tensors(twin)
    out = _forward(twin)
    _require_arrays(out)
    given = _flat(cotangents(to_numpy(out)))
    pairs = [
        (t, torch.from_numpy(d).to(t.dtype))
        for t, d in zip(_flat(out), given, strict=True)
        if d is not None and t.requires_grad
    ]
    if not wanted or not pairs:
        raise NoGradientError
    outs, cotangent = zip(*pairs, strict=True)
    try:
        grads = torch.autograd.grad(
            outs, list(wanted.values()), cotangent, allow_unused=True
        )
    except RuntimeError as error:  # "derivative of ... is not implemented"
        raise TorchCannotRunError(str(error)) from error
    return {
        n: torch.zeros_like(t) if d is None or d._is_zerotensor() else d.detach()
        for (n, t), d in zip(wanted.items(), grads, strict=True)
    }


def _autograd_in_float64(sample: Sample) -> Tensors | None:
    """The same in float64; None where torch has no float64 form of an operation."""
    wide = _doubled(sample)
    try:
        return _autograd(wide)
    except (RuntimeError, TypeError):  # float32 written into the model's code
        try:
            with Widening():
                return _autograd(wide)
        except (RuntimeError, TypeError):
            return None


def _doubled(sample: Sample) -> Sample:
    """A float64 copy; its leaves require gradients where the sample's do."""

    def wide(item: Any) -> Any:
        if isinstance(item, torch.Tensor):
            return widened(item).requires_grad_(item.requires_grad)
        return widened(item)

    twin = copy.deepcopy(sample)
    return Sample(twin.module.double(), *_mapped((twin.args, twin.kwargs), wide))


def _forward(sample: Sample) -> Any:
    torch.manual_seed(SEED)
    return sample.module(*sample.args, **sample.kwargs)


def _inputs(sample: Sample) -> Tensors:
    """The input tensors by number."""
    tensors = _tensors((sample.args, sample.kwargs))
    return {f"input {k}": t for k, t in enumerate(tensors)}


def _leaf_tensors(sample: Sample) -> Tensors:
    """What gradients are asked of: inputs by number, parameters by name."""
    named = {**_inputs(sample), **dict(sample.module.named_parameters())}
    return {n: t for n, t in named.items() if t.requires_grad}


def _given(name: str, d: Any) -> np.ndarray:
    if d is None:
        raise MismatchError(f"{name}: no gradient; torch has one")
    return np.asarray(d)


def _paired(dy: Any, y: Any) -> float:
    """The objective that dy is the gradient of."""
    pairs = zip(_flat(dy), _flat(y), strict=True)
    return sum(float(np.vdot(d, out).real) for d, out in pairs if d is not None)


def _require_arrays(tree: Any) -> None:
    """Raise where NumPy has no such tensors."""
    for tensor in _tensors(tree):
        if tensor.layout is not torch.strided:
            raise MismatchError(f"NumPy has no arrays with the layout {tensor.layout}")
        if tensor.dtype is torch.complex32:
            raise MismatchError(f"NumPy has no {tensor.dtype}")


def _inexact(item: Any) -> bool:
    return np.asarray(item).dtype.kind in "fc"


def _mapped(tree: Any, visit: Callable[[Any], Any]) -> Any:
    """`visit` of everything in nested tuples, lists and dicts."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_mapped(part, visit) for part in tree))
    if isinstance(tree, (tuple, list)):
        parts = [_mapped(part, visit) for part in tree]
        return type(tree)(parts)
    if isinstance(tree, dict):
        return {key: _mapped(part, visit) for key, part in tree.items()}
    return visit(tree)


def _flat(tree: Any) -> list[Any]:
    """Everything in nested tuples, lists and dicts, Nones too."""
    found: list[Any] = []
    _mapped(tree, found.append)
    return found


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [t for t in leaves(tree) if isinstance(t, torch.Tensor)]
