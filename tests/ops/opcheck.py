"""Check one torch call: bind it, lower it by RULES, evaluate the text, compare."""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from luxgen.frontends.bind import bind, dtype_name
from luxgen.ir.values import Value, atoms, map_arg
from luxgen.targets.numpy.expression import substitute
from luxgen.targets.numpy.helpers import helper_function, helper_names
from luxgen.targets.numpy.rules import template
from luxgen.targets.numpy.rules.op import Op


def lowered(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, dict[str, np.ndarray]]:
    """The NumPy text for a torch call and the arrays its names `v0`, `v1` stand for."""
    call = bind(func, args, kwargs)
    scope: dict[str, np.ndarray] = {}
    values: dict[int, Value] = {}

    def visit(item: Any) -> Any:
        if not isinstance(item, torch.Tensor):
            return item
        if id(item) not in values:
            values[id(item)] = Value(
                dtype_name(item.dtype), tuple(item.shape), names=(f"v{len(values)}",)
            )
            scope[f"v{len(scope)}"] = (
                item.detach().resolve_conj().resolve_neg().numpy().copy()
            )
        return values[id(item)]

    bound = {name: map_arg(visit, value) for name, value in call.args.items()}
    result = func(*args, **kwargs)
    flat = result if isinstance(result, (tuple, list)) else (result,)
    outs = tuple(
        Value(dtype_name(t.dtype), tuple(t.shape))
        for t in flat
        if isinstance(t, torch.Tensor)
    )
    op = Op(call.name, bound, outs, call.overload)
    text = ast.unparse(substitute(template(op), bound, lambda v: ast.Name(v.names[0])))
    assert all(not isinstance(a, torch.Tensor) for a in atoms(tuple(bound.values())))
    return text, scope


def evaluate(text: str, scope: dict[str, np.ndarray]) -> Any:
    names = {name: helper_function(name) for name in helper_names()}
    with warnings.catch_warnings():
        # OpenBLAS computes lanes beyond short vectors; their NaN is no result of ours
        warnings.filterwarnings("ignore", "invalid value encountered in matmul")
        return eval(text, {"np": np, "math": math, **names}, dict(scope))


def check(func: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Compare our float32 result with torch's in float64; returns the text."""
    with torch.no_grad():
        text, scope = lowered(func, args, kwargs)
        before = {name: array.copy() for name, array in scope.items()}
        ours = evaluate(text, scope)
        low = func(*args, **kwargs)
        high = func(*map_arg(_double, args), **map_arg(_double, kwargs))
    for name, array in scope.items():
        np.testing.assert_array_equal(array, before[name], f"{text} changed {name}")
    compare(ours, low, high, text)
    return text


def _double(item: Any) -> Any:
    if isinstance(item, torch.Tensor):
        if item.dtype == torch.float32:
            return item.double()
        if item.dtype == torch.complex64:
            return item.to(torch.complex128)
        return item.clone()
    return torch.float64 if item is torch.float32 else item


def compare(ours: Any, low: Any, high: Any, what: str = "") -> None:
    """`ours` against torch's result: structure, dtype, shape and error."""
    if isinstance(low, (tuple, list)):
        assert isinstance(ours, (tuple, list)) and len(ours) == len(low), what
        for a, b, c in zip(ours, low, high, strict=True):
            compare(a, b, c, what)
        return
    if not isinstance(low, torch.Tensor):
        assert ours == low, what
        return
    expected = low.detach().resolve_conj().resolve_neg().numpy()
    ours = np.asarray(ours)
    assert ours.dtype == expected.dtype, f"{what}: {ours.dtype}, torch {expected.dtype}"
    assert ours.shape == expected.shape, f"{what}: {ours.shape}, torch {expected.shape}"
    exact = high.detach().resolve_conj().resolve_neg().numpy()
    if not np.issubdtype(expected.dtype, np.inexact):
        np.testing.assert_array_equal(ours, expected, what)
        return
    finite = np.isfinite(expected) & np.isfinite(exact)
    np.testing.assert_array_equal(ours[~finite], expected[~finite], what)
    if not finite.any():
        return
    scale = np.maximum(np.abs(exact[finite]), np.abs(exact[finite]).max() * 0.1)
    error = np.abs(ours[finite] - exact[finite]) / np.maximum(scale, 1e-30)
    yardstick = np.abs(expected[finite] - exact[finite]) / np.maximum(scale, 1e-30)
    limit = 2 * yardstick.max() + 16 * np.finfo(expected.dtype).eps
    assert error.max() <= limit, f"{what}: error {error.max():.3g} > {limit:.3g}"
