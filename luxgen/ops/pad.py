"""Padding and cropping of the last axes."""

import numpy as np

from luxgen.ops.types import Array


def pad_sides(
    x: Array, pad: tuple[int, ...], *, mode: str = "constant", value: float = 0
) -> Array:
    """Pad x by torch's `pad`: before and after the last axis, then the one before.

    A negative amount crops. With `mode` "circular" it does so before wrapping.
    """
    amounts = list(zip(pad[-2::-2], pad[::-2], strict=True))
    amounts = [(0, 0)] * (x.ndim - len(amounts)) + amounts
    wider = [(max(a, 0), max(b, 0)) for a, b in amounts]
    crop = tuple(slice(max(-a, 0), min(b, 0) or None) for a, b in amounts)
    if mode == "circular":
        return np.pad(x[crop], wider, mode="wrap")
    if mode == "reflect":
        return np.pad(x, wider, mode="reflect")[crop]
    if mode == "replicate":
        return np.pad(x, wider, mode="edge")[crop]
    return np.pad(x, wider, constant_values=value)[crop]
