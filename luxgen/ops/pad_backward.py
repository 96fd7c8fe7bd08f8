"""Cotangent of what padding copied: added up where it came from."""

import numpy as np

from luxgen.ops.types import Array


def pad_backward(d: Array, pad: tuple[int, ...], *, mode: str) -> Array:
    """Undo padding that repeats x: "reflect", "replicate" or "circular".

    `pad` is torch's: before and after the last axis, then the one before; a negative
    amount has cropped.
    """
    for axis in range(1, len(pad) // 2 + 1):
        d = np.moveaxis(d, -axis, 0)
        first, last = pad[2 * axis - 2], pad[2 * axis - 1]
        cut = [(max(-first, 0), max(-last, 0)), *[(0, 0)] * (d.ndim - 1)]
        before, after = max(first, 0), max(last, 0)
        if mode != "circular":
            d = np.pad(d, cut)  # x was padded, then cropped
        n = len(d) - before - after
        y = np.array(d[before : before + n])
        if mode == "reflect":
            y[1 : before + 1] += d[:before][::-1]
            y[n - 1 - after : n - 1] += d[before + n :][::-1]
        elif mode == "replicate":
            y[0] += d[:before].sum(axis=0)
            y[-1] += d[before + n :].sum(axis=0)
        else:
            y[n - before :] += d[:before]
            y[:after] += d[before + n :]
            y = np.pad(y, cut)
        d = np.moveaxis(y, 0, -axis)
    return d
