"""Running reductions' ops that only gradients use."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import CALL, Rule

RULES: dict[str, Rule] = dict.fromkeys(
    (
        "cumsum_backward", "cumprod_backward", "logcumsumexp_backward",
        "areas_backward", "positions_backward",
    ),
    CALL,
)  # fmt: skip
