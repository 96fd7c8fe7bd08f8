"""Sorting and selecting by order."""

from __future__ import annotations

from dataclasses import replace

from luxgen.targets.numpy.rules.op import Op, Rule, helper
from luxgen.targets.numpy.rules.reduce import indexed


def ordered(op: Op) -> str:
    """The helper, which is always stable and always sorts what it selects."""
    kept = {n: v for n, v in op.args.items() if n not in ("stable", "sorted")}
    return helper(replace(op, args=kept))


RULES: dict[str, Rule] = {
    "sort": indexed(ordered),
    "argsort": lambda op: ordered(op) if op.ndim("input") else "np.int64(0)",
    "msort": lambda op: "np.sort(input, axis=0)" if op.ndim("input") else "input",
    "topk": indexed(ordered),
    "kthvalue": indexed(ordered),
}
