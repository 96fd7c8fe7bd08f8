"""Ops that only gradients of Householder reflections use."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import CALL, Rule, helper

RULES: dict[str, Rule] = {
    "householder_product_backward": CALL,
    "ormqr_backward": lambda op: helper(op, tau="input2", other="input3"),
}
