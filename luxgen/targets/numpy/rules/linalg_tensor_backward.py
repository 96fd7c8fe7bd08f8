"""Ops that only gradients of tensors as matrices use."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import CALL, Rule

RULES: dict[str, Rule] = dict.fromkeys(
    ("tensorinv_backward", "tensorsolve_backward", "cond_backward"), CALL
)
