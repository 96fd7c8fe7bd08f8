"""Dropout and random activations that keep their draws, and their backward passes."""

import numpy as np

from luxgen.ops.dropout import DropoutState
from luxgen.ops.noise import generator
from luxgen.ops.types import Array


def dropout_saved(
    x: Array, st: DropoutState, *, p: float = 0.5
) -> tuple[tuple[Array, Array | None], DropoutState]:
    """dropout with its mask, None in testing."""
    if not st.training:
        return (x, None), st
    keep = generator(st.seed, st.step).random(x.shape, dtype=np.float32) >= p
    scale = x.dtype.type(1 - p or 1)  # p = 1 keeps nothing
    return (x * keep / scale, keep), st._replace(step=st.step + 1)


def feature_dropout_saved(
    x: Array, st: DropoutState, *, p: float = 0.5, axes: int = 2
) -> tuple[tuple[Array, Array | None], DropoutState]:
    """feature_dropout with its mask, None in testing."""
    if not st.training:
        return (x, None), st
    shape = x.shape[:axes] + (1,) * (x.ndim - axes)
    keep = generator(st.seed, st.step).random(shape, dtype=np.float32) >= p
    scale = x.dtype.type(1 - p or 1)  # p = 1 keeps nothing
    return (x * (keep / scale), keep), st._replace(step=st.step + 1)


def dropout_backward(d: Array, keep: Array | None, *, p: float = 0.5) -> Array:
    if keep is None:  # testing
        return d
    d_x: Array = d * (keep / d.dtype.type(1 - p or 1))
    return d_x


def alpha_dropout_saved(
    x: Array, st: DropoutState, *, p: float = 0.5, axes: int | None = None
) -> tuple[tuple[Array, Array | None], DropoutState]:
    """alpha_dropout with its mask, None in testing."""
    if not st.training:
        return (x, None), st
    shape = x.shape
    if axes is not None:
        shape = x.shape[:axes] + (1,) * (x.ndim - axes)
    keep = generator(st.seed, st.step).random(shape, dtype=np.float32) >= p
    if p == 1:
        return (x * 0, keep), st._replace(step=st.step + 1)
    limit = 1.7580993408473766  # alpha * scale of SELU
    a = ((1 - p) * (1 + p * limit**2)) ** -0.5
    dropped = np.asarray(-limit, x.dtype)
    y = np.where(keep, x, dropped) * x.dtype.type(a) + x.dtype.type(a * limit * p)
    return (y, keep), st._replace(step=st.step + 1)


def alpha_dropout_backward(d: Array, keep: Array | None, *, p: float = 0.5) -> Array:
    if keep is None:  # testing
        return d
    if p == 1:
        return d * 0
    limit = 1.7580993408473766  # alpha * scale of SELU
    a = ((1 - p) * (1 + p * limit**2)) ** -0.5
    d_x: Array = d * (keep * d.dtype.type(a))
    return d_x


def rrelu_saved(
    x: Array, st: DropoutState, *, lower: float = 0.125, upper: float = 1 / 3
) -> tuple[tuple[Array, Array], DropoutState]:
    """rrelu with the slopes of its negative part."""
    if not st.training:
        slope = np.asarray((lower + upper) / 2, x.dtype)
        return (np.maximum(x, 0) + slope * np.minimum(x, 0), slope), st
    slope = generator(st.seed, st.step).uniform(lower, upper, x.shape).astype(x.dtype)
    y = np.maximum(x, 0) + slope * np.minimum(x, 0)
    return (y, slope), st._replace(step=st.step + 1)


def rrelu_backward(d: Array, x: Array, slope: Array) -> Array:
    return np.where(x > 0, d, d * slope)
