"""Rules of products of Householder reflections."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Rule, helper


def ormqr(op: Op) -> str:
    return helper(op, tau="input2", other="input3")


RULES: dict[str, Rule] = {
    "linalg_householder_product": "householder_product(input, tau)",
    "ormqr": ormqr,
}
