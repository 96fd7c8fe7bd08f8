"""Rules of the ops that gradients of attention add."""

from __future__ import annotations

from dataclasses import replace

from luxgen.targets.numpy.rules.attention import without
from luxgen.targets.numpy.rules.op import Op, Rule, helper


def dot_product_saved(op: Op) -> str:
    return helper(without(op, "dropout_p"))


def dot_product_dropout_saved(op: Op) -> str:
    """With dropout_p 0 the state stays as it is."""
    if not op.const("dropout_p", 0.0):
        return f"({dot_product_saved(op)}, state)"
    drawn = replace(without(op), args={**without(op).args, "state": ...})
    return helper(drawn, "scaled_dot_product_attention_dropout_saved", st="state")


def saved_weights(op: Op) -> str:
    """The weights, and those after dropout where that acts."""
    return "saved[0], saved[1]" if op.const("dropped", False) else "saved"


def dot_product_backward(op: Op) -> str:
    options = "".join(
        f", {name}={name}" for name in ("scale", "enable_gqa") if op.has(name)
    )
    return (
        "scaled_dot_product_attention_backward"
        f"(d, query, key, value, {saved_weights(op)}{options})"
    )


def scores_backward(op: Op) -> str:
    return f"attention_scores_backward(d, value, {saved_weights(op)})"


RULES: dict[str, Rule] = {
    "scaled_dot_product_attention_saved": dot_product_saved,
    "scaled_dot_product_attention_backward": dot_product_backward,
    "attention_scores_backward": scores_backward,
}

STATEFUL: dict[str, Rule] = {
    "scaled_dot_product_attention_saved": dot_product_dropout_saved,
}
