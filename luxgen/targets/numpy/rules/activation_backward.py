"""Ops that gradients of activations add."""

from __future__ import annotations

from luxgen.targets.numpy.rules.forms import pointwise
from luxgen.targets.numpy.rules.op import Rule

RULES: dict[str, Rule] = {
    "gelu_backward": pointwise(),
    "mish_backward": pointwise(),
    "glu_backward": pointwise(),
}
