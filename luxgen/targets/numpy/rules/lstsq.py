"""Rule of least squares."""

from __future__ import annotations

from luxgen.targets.numpy.rules.forms import call
from luxgen.targets.numpy.rules.op import Op, Refused, Rule


def lstsq(op: Op) -> str:
    if op.ndim("input") != op.ndim("b"):
        raise Refused("linalg.lstsq of vectors", "give b a last dim: b[..., None]")
    unset = [name for name in ("rcond", "driver") if not op.has(name)]
    return call(op, "lstsq", *unset)


RULES: dict[str, Rule] = {"linalg_lstsq": lstsq}
