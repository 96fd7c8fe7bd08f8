"""Rules of the ops that gradients of attention add."""

from __future__ import annotations

from dataclasses import replace

from luxgen.targets.numpy.rules.attention import without
from luxgen.targets.numpy.rules.op import CALL, Op, Rule, helper


def dot_product_saved(op: Op) -> str:
    return helper(without(op, "dropout_p"))


def dot_product_dropout_saved(op: Op) -> str:
    """With dropout_p 0 the state stays as it is."""
    if not op.const("dropout_p", 0.0):
        return f"({dot_product_saved(op)}, state)"
    drawn = replace(without(op), args={**without(op).args, "state": ...})
    return helper(drawn, "scaled_dot_product_attention_dropout_saved", st="state")


RULES: dict[str, Rule] = {
    "scaled_dot_product_attention_saved": dot_product_saved,
    "scaled_dot_product_attention_backward": CALL,
    "attention_scores_backward": CALL,
}

STATEFUL: dict[str, Rule] = {
    "scaled_dot_product_attention_saved": dot_product_dropout_saved,
}
