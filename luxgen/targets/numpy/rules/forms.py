"""Forms that rules of activations, norms, losses and random numbers share."""

from __future__ import annotations

import re
from dataclasses import replace

from luxgen.targets.numpy.rules.op import Op, Rule, helper, promoted
from luxgen.targets.numpy.rules.promotion import EXACT_NUMBERS, np_dtype


def call(op: Op, name: str, *drop: str, more: str = "", **rename: str) -> str:
    """The call of helper `name`, less the arguments in `drop`, with `more` options."""
    kept = {n: v for n, v in op.args.items() if n not in drop}
    text = helper(replace(op, args=kept), name, **rename)
    return f"{text[:-1]}, {more})" if more else text


def stateful(op: Op, name: str, *drop: str, **rename: str) -> str:
    """The call of helper `name` whose `st` is the op's state."""
    args = {**op.args, "state": ...}
    return call(replace(op, args=args), name, *drop, st="state", **rename)


def batched(text: str, *names: str) -> str:
    """`text` with the arguments `names` as batches of one."""
    for name in names:
        text = re.sub(rf"\b{name}\b(?!=)", f"{name}[None]", text)
    return text


def scalar(op: Op, text: str) -> str:
    """`text` as op's dtype where it's 0-d: NumPy 1.26 widens 0-d operands."""
    if op.out_ndim or op.out_dtype in EXACT_NUMBERS:
        return text
    return f"{np_dtype(op.out_dtype)}({text})"


def pointwise(name: str | None = None, *drop: str) -> Rule:
    """Rule: the helper `name` (the op's by default) of its tensors, promoted."""

    def rule(op: Op) -> str:
        text = call(op, name or op.name, *drop)
        return scalar(op, promoted_tensors(op, text))

    return rule


def promoted_tensors(op: Op, text: str) -> str:
    """Options that are numbers have no say in the dtype."""
    return promoted(op, text, *(name for name in op.args if op.is_tensor(name)))
