"""Torch's functions of the numbers that a generated module drew, with their gradients.

A module's draws are a pure function of (seed, step) in its state: they are drawn again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from luxgen.frontends.bind import bind

_PER_CHANNEL = {"dropout1d": 2, "dropout3d": 4, "dropout2d": None,
                "feature_dropout": None, "feature_alpha_dropout": None}  # fmt: skip
MASKED = {"dropout", "alpha_dropout", *_PER_CHANNEL}
_LIMIT = 1.7580993408473766  # alpha * scale of SELU


def redrawn(
    func: Callable[..., Any], args: Any, kwargs: Any, drawn: tuple[str, Any, Any]
) -> torch.Tensor | None:
    """`func` as the module computed it; None for draws that have no gradient.

    `drawn` is the op's name, its result in the module and the state after it.
    """
    name, result, state = drawn
    given = bind(func, args, kwargs).args
    bits = np.random.Philox(key=state.seed, counter=[0, 0, 0, state.step - 1])
    draw = np.random.Generator(bits)
    if name in MASKED:
        return _masked(name, given["input"], given.get("p", 0.5), draw)
    if name == "rrelu":
        x, low, high = (
            given["input"],
            given.get("lower", 1 / 8),
            given.get("upper", 1 / 3),
        )
        slope = _like(x, draw.uniform(low, high, tuple(x.shape)).astype(result.dtype))
        return torch.where(x > 0, x, x * slope)
    if name == "gumbel_softmax":
        x, dim = given["logits"], given.get("dim", -1)
        noise = _like(x, draw.gumbel(size=tuple(x.shape)).astype(result.dtype))
        soft = torch.softmax((x + noise) / given.get("tau", 1.0), dim)
        return _like(x, result) - soft.detach() + soft if given.get("hard") else soft
    return None


def _like(x: torch.Tensor, array: Any) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array)).to(x.dtype)


def _masked(
    name: str, x: torch.Tensor, p: float, draw: np.random.Generator
) -> torch.Tensor:
    shape = tuple(x.shape)
    if name in _PER_CHANNEL:
        axes = 1 if x.ndim == _PER_CHANNEL[name] else 2
        shape = shape[:axes] + (1,) * (x.ndim - axes)
    keep = torch.from_numpy(np.asarray(draw.random(shape, dtype=np.float32) >= p))
    if "alpha" not in name:
        return torch.mul(x, keep / (1 - p or 1))
    if p == 1:
        return x * 0
    a: float = ((1 - p) * (1 + p * _LIMIT**2)) ** -0.5
    return torch.where(keep, x, torch.full_like(x, -_LIMIT)) * a + a * _LIMIT * p
