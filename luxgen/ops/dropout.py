"""Dropout: masks that are a pure function of (seed, step)."""

from typing import NamedTuple

import numpy as np

from luxgen.ops.noise import generator
from luxgen.ops.types import Array


class DropoutState(NamedTuple):
    seed: int
    step: int = 0  # (seed, step) determines the next mask
    training: bool = True


class AlwaysDropoutState(DropoutState):
    """Of a call that the mode doesn't reach: F.dropout(x) drops in testing too."""

    __slots__ = ()

    @property
    def training(self) -> bool:
        return True


def dropout(
    x: Array, st: DropoutState, *, p: float = 0.5
) -> tuple[Array, DropoutState]:
    """Zero entries with probability p and scale the others by 1 / (1 - p)."""
    if not st.training:
        return x, st
    keep = generator(st.seed, st.step).random(x.shape, dtype=np.float32) >= p
    scale = x.dtype.type(1 - p or 1)  # p = 1 keeps nothing
    return x * keep / scale, st._replace(step=st.step + 1)


def feature_dropout(
    x: Array, st: DropoutState, *, p: float = 0.5, axes: int = 2
) -> tuple[Array, DropoutState]:
    """Dropout of whole channels: one draw for each entry of the first `axes` axes."""
    if not st.training:
        return x, st
    shape = x.shape[:axes] + (1,) * (x.ndim - axes)
    keep = generator(st.seed, st.step).random(shape, dtype=np.float32) >= p
    scale = x.dtype.type(1 - p or 1)  # p = 1 keeps nothing
    return x * (keep / scale), st._replace(step=st.step + 1)


def alpha_dropout(
    x: Array, st: DropoutState, *, p: float = 0.5, axes: int | None = None
) -> tuple[Array, DropoutState]:
    """Dropout to SELU's negative limit that keeps zero mean and unit variance.

    With `axes`, one draw for each entry of the first `axes` axes.
    """
    if not st.training:
        return x, st
    if p == 1:
        return x * 0, st._replace(step=st.step + 1)
    shape = x.shape
    if axes is not None:
        shape = x.shape[:axes] + (1,) * (x.ndim - axes)
    keep = generator(st.seed, st.step).random(shape, dtype=np.float32) >= p
    limit = 1.7580993408473766  # alpha * scale of SELU
    a = ((1 - p) * (1 + p * limit**2)) ** -0.5
    dropped = np.asarray(-limit, x.dtype)
    y = np.where(keep, x, dropped) * x.dtype.type(a) + x.dtype.type(a * limit * p)
    return y, st._replace(step=st.step + 1)


def rrelu(
    x: Array, st: DropoutState, *, lower: float = 0.125, upper: float = 1 / 3
) -> tuple[Array, DropoutState]:
    """Leaky ReLU of random slopes in training, of their mean otherwise."""
    if not st.training:
        y = np.maximum(x, 0) + (lower + upper) / 2 * np.minimum(x, 0)
        return y, st
    slope = generator(st.seed, st.step).uniform(lower, upper, x.shape).astype(x.dtype)
    y = np.maximum(x, 0) + slope * np.minimum(x, 0)
    return y, st._replace(step=st.step + 1)
