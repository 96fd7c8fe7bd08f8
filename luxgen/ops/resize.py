"""Interpolation over the axes of x after (N, C), one axis after the other."""

import numpy as np

from luxgen.ops.types import Array


def interpolate_nearest(
    x: Array,
    size: tuple[int, ...] | None = None,
    *,
    scale_factor: tuple[float, ...] | None = None,
    exact: bool = False,
) -> Array:
    """Resize x (N, C, *size) by repeating or dropping elements.

    `exact` reads at the pixels' centres ("nearest-exact").
    """
    real = x.dtype.type if x.dtype.kind == "f" else np.float32
    steps = resize_steps(x, size, scale_factor)
    if scale_factor is not None and not exact and x.ndim == 4:
        small = sum(m for _, m, _ in steps) <= 128
        for k, (axis, m, _) in enumerate(steps):
            n = x.shape[axis]
            if small and m in (n, 2 * n):  # torch's kernel for small images does this
                steps[k] = axis, m, n / m
    for axis, m, step in steps:
        at = np.arange(m, dtype=real)
        if exact:
            at += real(0.5)
        at *= real(step)  # rounded as in torch, since it decides between neighbours
        x = x.take(np.minimum(at.astype(np.int64), x.shape[axis] - 1), axis)
    return x


def interpolate_linear(
    x: Array,
    size: tuple[int, ...] | None = None,
    *,
    scale_factor: tuple[float, ...] | None = None,
    align_corners: bool = False,
) -> Array:
    """Resize x (N, C, *size) by weighing two neighbours along each axis."""
    for axis, m, step in resize_steps(x, size, scale_factor):
        n = x.shape[axis]
        if m == n:
            continue
        if align_corners:
            at = np.arange(m) * ((n - 1) / max(m - 1, 1))
        else:
            at = np.maximum((np.arange(m) + 0.5) * step - 0.5, 0)
        low = np.minimum(at.astype(np.int64), n - 1)
        part = np.minimum(at - low, 1)
        taps = np.stack([low, np.minimum(low + 1, n - 1)])
        x = resample(x, axis, taps, np.stack([1 - part, part]))
    return x


def interpolate_cubic(
    x: Array,
    size: tuple[int, ...] | None = None,
    *,
    scale_factor: tuple[float, ...] | None = None,
    align_corners: bool = False,
) -> Array:
    """Resize x (N, C, *size) by Keys' cubic convolution, a = -0.75."""
    for axis, m, step in resize_steps(x, size, scale_factor):
        n = x.shape[axis]
        if align_corners:
            at = np.arange(m) * ((n - 1) / max(m - 1, 1))
        else:
            at = (np.arange(m) + 0.5) * step - 0.5
        taps = np.floor(at).astype(np.int64) + np.arange(-1, 3)[:, None]
        weights = cubic_kernel(at - taps, -0.75)
        x = resample(x, axis, np.clip(taps, 0, n - 1), weights)
    return x


def interpolate_antialias(
    x: Array,
    size: tuple[int, ...] | None = None,
    *,
    scale_factor: tuple[float, ...] | None = None,
    align_corners: bool = False,
    cubic: bool = False,
) -> Array:
    """Resize x (N, C, *size) by a linear or cubic (a = -0.5) filter that widens as
    the image shrinks, as Pillow does."""
    for axis, m, step in resize_steps(x, size, scale_factor):
        n = x.shape[axis]
        if m == n:
            continue
        if align_corners:
            step = (n - 1) / (m - 1) if m > 1 else 0.0
        wide = max(step, 1.0)
        reach = 2 * wide if cubic else wide
        centre = (np.arange(m) + 0.5) * step
        low = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
        high = np.minimum((centre + reach + 0.5).astype(np.int64), n)
        taps = low + np.arange((high - low).max())[:, None]
        at = (taps - centre + 0.5) / wide
        weights = cubic_kernel(at, -0.5) if cubic else np.maximum(1 - np.abs(at), 0)
        weights = np.where(taps < high, weights, 0)
        weights /= weights.sum(axis=0)
        x = resample(x, axis, np.where(taps < high, taps, low), weights)
    return x


def resize_steps(
    x: Array, size: tuple[int, ...] | None, scale_factor: tuple[float, ...] | None
) -> list[tuple[int, int, float]]:
    """(axis, new size, input steps per output step) of the axes after (N, C).

    The last axis comes first, while there are fewest rows to gather from.
    """
    sizes = list(enumerate(x.shape))[2:]
    if scale_factor is not None:
        size = scaled_size(x, scale_factor) if size is None else size
        scaled = zip(sizes, size, scale_factor, strict=True)
        return [(axis, m, 1 / s) for (axis, _), m, s in scaled][::-1]
    if size is None:
        raise ValueError("one of size and scale_factor must be given")
    return [(axis, m, n / m) for (axis, n), m in zip(sizes, size, strict=True)][::-1]


def resample(x: Array, axis: int, taps: Array, weights: Array) -> Array:
    """Sum of weights[k] times the elements taps[k] of `axis`, over k."""
    shape = (-1,) + (1,) * (x.ndim - 1 - axis)
    scales = [weight.astype(x.dtype).reshape(shape) for weight in weights]
    y: Array = x.take(taps[0], axis) * scales[0]
    for k in range(1, len(taps)):
        y += x.take(taps[k], axis) * scales[k]
    return y


def cubic_kernel(t: Array, a: float) -> Array:
    """Keys' cubic convolution kernel at distance t."""
    t = np.abs(t)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0))


def scaled_size(x: Array, scale_factor: tuple[float, ...]) -> tuple[int, ...]:
    """Sizes of x after (N, C) times the factors, rounded down."""
    return tuple(int(n * s) for n, s in zip(x.shape[2:], scale_factor, strict=True))
