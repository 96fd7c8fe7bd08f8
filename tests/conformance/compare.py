"""Hold NumPy results against torch's, with torch's own rounding error as yardstick."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

FLOOR = 64  # ulps of the largest value: rounding differs with the order of sums
DTYPES = {  # narrow floats may be computed in float32
    torch.bfloat16: (np.dtype(np.float32),),
    torch.float16: (np.dtype(np.float16), np.dtype(np.float32)),
}


class MismatchError(Exception):
    """The generated module's result isn't torch's."""


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
            compare_leaf(f"output {index}", np.asarray(mine), theirs, exact)
        elif mine != theirs:
            raise MismatchError(f"output {index}: {mine!r}; torch returns {theirs!r}")


def compare_leaf(
    what: str,
    ours: np.ndarray,
    low: torch.Tensor,
    high: torch.Tensor | None,
    least: float = 0.0,
) -> None:
    """One array: dtype, shape, and values where `high` is given.

    Where all values are smaller than `least`, the floor is that of `least`.
    """
    theirs = as_array(low)
    if ours.dtype not in DTYPES.get(low.dtype, (theirs.dtype,)):
        raise MismatchError(f"{what}: dtype {ours.dtype}; torch {low.dtype}")
    if ours.shape != theirs.shape:
        raise MismatchError(f"{what}: shape {ours.shape}; torch {theirs.shape}")
    if high is None:
        if np.isfinite(ours).all() != np.isfinite(theirs).all():
            raise MismatchError(f"{what}: not finite")
        return
    if not np.issubdtype(theirs.dtype, np.inexact):
        if not np.array_equal(ours, theirs):
            raise MismatchError(f"{what}: {theirs.dtype} values differ")
        return
    exact = as_array(high)
    finite = np.isfinite(theirs) & np.isfinite(exact)
    if not np.array_equal(ours[~finite], theirs[~finite], equal_nan=True):
        raise MismatchError(f"{what}: infinities or NaNs differ")
    if not finite.any():
        return
    error = np.abs(ours[finite] - exact[finite]).max()
    own = np.abs(theirs[finite] - exact[finite]).max()
    eps = torch.finfo(low.dtype).eps
    floor = FLOOR * eps * max(np.abs(exact[finite]).max(), least, eps)
    if not error <= 2 * own + floor:
        raise MismatchError(
            f"{what}: error {error:.2g}; torch's own {own:.2g}, allowed "
            f"{2 * own + floor:.2g}"
        )


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


def as_array(tensor: torch.Tensor) -> np.ndarray:
    """The tensor's values in NumPy (bfloat16 as float32), sharing memory if it can."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.float()
    array: np.ndarray = tensor.numpy()
    return array
