"""The op that only gradients of least squares use."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import CALL, Rule

RULES: dict[str, Rule] = {"residuals_backward": CALL}
