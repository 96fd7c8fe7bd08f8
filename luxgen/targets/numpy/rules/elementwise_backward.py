"""Elementwise ops that only gradients use."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Rule, promoted
from luxgen.targets.numpy.rules.promotion import kind


def abs_backward(op: Op) -> str:
    """By NaN it is NaN, where torch has 0."""
    sign = "sgn" if kind(op.dtype("input")) == 3 else "np.sign"
    return promoted(op, f"d * {sign}(input)")


RULES: dict[str, Rule] = {
    "abs_backward": abs_backward,
    "masked_scatter_backward": "masked_scatter_backward(d, mask, source)",
}
