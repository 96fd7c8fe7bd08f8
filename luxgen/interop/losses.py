"""Losses by name, with the gradient where the backward pass starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from luxgen.errors import InputError
from luxgen.ops import loss_gradient

# (y, target) -> (loss, dloss/dy), or (loss, dloss/dy, stats)
LossFunction = Callable[[Any, Any], tuple[Any, ...]]
Loss = str | LossFunction

LOSSES: dict[str, LossFunction] = {
    "none": lambda y, _: (y, np.ones_like(y)),  # the layer returns its loss
    "bce_with_logits": loss_gradient.bce_with_logits_and_gradient,
    "cross_entropy": loss_gradient.cross_entropy_and_gradient,
    "huber": loss_gradient.huber_and_gradient,
    "l1": loss_gradient.l1_and_gradient,
    "mse": loss_gradient.mse_and_gradient,
    "nll": loss_gradient.nll_and_gradient,
    "smooth_l1": loss_gradient.smooth_l1_and_gradient,
}


def loss_and_gradient(loss: Loss, y: Any, target: Any) -> tuple[Any, Any, Any]:
    """The loss, its gradient by `y`, and statistics ({} unless the loss has some).

    Means with torch.nn.functional's defaults. InputError for an unknown name and for a
    named loss of an output that isn't one array.
    """
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise InputError(f"no loss {loss!r}; there are {', '.join(LOSSES)}")
        if not isinstance(y, np.ndarray):
            raise InputError(
                f"{loss} takes one array, and the layer returns a {type(y).__name__}: "
                "pass a function (y, target) -> (loss, dy)"
            )
        value, dy = LOSSES[loss](y, np.asarray(target))
        return value, dy, {}
    found = loss(y, target)
    if not isinstance(found, tuple) or len(found) not in (2, 3):
        raise InputError("a loss function returns (loss, dy) or (loss, dy, stats)")
    return (*found, {}) if len(found) == 2 else found
