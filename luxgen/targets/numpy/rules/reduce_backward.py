"""Reductions' ops that only gradients use."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import CALL, Rule

RULES: dict[str, Rule] = dict.fromkeys(
    (
        "prod_backward", "quantile_backward", "quantile_q_backward", "cov_backward",
        "cov_weights_backward",        "corrcoef_backward", "trace_backward",
    ),
    CALL,
)  # fmt: skip
