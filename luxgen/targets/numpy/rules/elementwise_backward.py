"""Elementwise ops that only gradients use."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Rule, promoted
from luxgen.targets.numpy.rules.promotion import kind


def abs_backward(op: Op) -> str:
    """0 for NaN, as torch has it."""
    if kind(op.dtype("input")) == 3:
        return promoted(op, "d * sgn(input)")
    return promoted(op, "np.where(input < 0, -d, np.where(input > 0, d, 0))")


RULES: dict[str, Rule] = {
    "abs_backward": abs_backward,
    "masked_scatter_backward": "masked_scatter_backward(d, mask, source)",
}
