"""Ops that only gradients of shape functions use."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import CALL, Rule

RULES: dict[str, Rule] = {
    "tile_backward": CALL,
    "repeat_interleave_backward": CALL,
    "diff_backward": CALL,
    "gradient_backward": CALL,
    "as_strided_backward": CALL,
    "vander_backward": CALL,
}
