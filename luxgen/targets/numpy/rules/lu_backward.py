"""Ops that only gradients of LU factors use."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import CALL, Rule

RULES: dict[str, Rule] = dict.fromkeys(
    ("lu_backward", "lu_factor_backward", "lu_unpack_backward", "lu_product_backward"),
    CALL,
)
