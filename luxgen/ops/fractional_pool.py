"""Max pooling over windows whose places are drawn at random."""

import math

import numpy as np

from luxgen.ops.types import Array


def fractional_max_pool(
    x: Array,
    random_samples: Array,
    kernel_size: tuple[int, ...],
    output_size: tuple[int, ...],
) -> tuple[Array, Array]:
    """Maxima of x (..., *spatial) and their places in the flattened spatial axes.

    random_samples (N, C, axes) in [0, 1) shift the windows of each channel: in 2-D the
    first is the columns'. Raises ValueError where a window is larger than x.
    """
    nd = len(kernel_size)
    samples = random_samples if x.ndim == nd + 2 else random_samples[0]
    if nd == 2:
        samples = samples[..., ::-1]
    spatial = x.shape[-nd:]
    places = np.arange(math.prod(spatial)).reshape(spatial)
    places = np.broadcast_to(places, x.shape)
    for axis in reversed(range(nd)):  # the first of equal maxima in row-major order
        k, m = kernel_size[axis], output_size[axis]
        starts = fractional_starts(samples[..., axis], spatial[axis], k, m)
        windows = (starts[..., None] + np.arange(k)).reshape(*starts.shape[:-1], m * k)
        ones = [1] * nd
        ones[axis] = m * k
        windows = windows.reshape(*x.shape[:-nd], *ones)
        x = np.take_along_axis(x, windows, axis - nd)
        places = np.take_along_axis(places, windows, axis - nd)
        split = (*x.shape[: axis - nd], m, k, *x.shape[x.ndim + axis - nd + 1 :])
        x, places = x.reshape(split), places.reshape(split)
        best = x.argmax(axis=axis - nd, keepdims=True)
        x = np.take_along_axis(x, best, axis - nd).squeeze(axis - nd)
        places = np.take_along_axis(places, best, axis - nd).squeeze(axis - nd)
    return x, places


def fractional_starts(sample: Array, size: int, kernel: int, count: int) -> Array:
    """Where `count` windows in `size` begin: in even steps, the last at the end."""
    if kernel > size - count + 1:
        raise ValueError(f"{count} windows of {kernel} don't fit in {size}")
    last = np.full((*sample.shape, 1), size - kernel)
    if count == 1:
        return last
    real = sample.dtype.type
    alpha = real(size - kernel) / real(count - 1)
    steps = (np.arange(count - 1, dtype=real) + sample[..., None]) * alpha
    first = (sample[..., None] * alpha).astype(np.int64)
    return np.concatenate([steps.astype(np.int64) - first, last], axis=-1)
