"""Ops that gradients of normalisations add, and layers that keep their state."""

from __future__ import annotations

from luxgen.targets.numpy.rules.forms import batched, call, pointwise
from luxgen.targets.numpy.rules.norm import batch_norm_layer, instance_norm_layer
from luxgen.targets.numpy.rules.op import CALL, Op, Rule


def over_last(name: str) -> Rule:
    """Rule: a helper for the last axis, or one for several."""

    def rule(op: Op) -> str:
        if op.const("dims", 1) == 1:
            return call(op, f"{name}_backward", "dims")
        return call(op, f"{name}_over_backward")

    return rule


def batch_norm_backward(op: Op) -> str:
    own = call(
        op, "batch_norm_training_backward", "running_mean", "running_var", "training"
    )
    if op.is_tensor("training"):  # the mode, known at run time
        return f"{own} if training else {call(op, 'batch_norm_backward', 'training')}"
    if op.const("training", False):
        return own
    return call(op, "batch_norm_backward", "training")


def layer_backward(op: Op) -> str:
    if op.args.get("ps") is None:
        return call(op, "batch_norm_plain_backward", "ps")
    return call(op, "batch_norm_layer_backward")


def instance_norm_layer_backward(op: Op) -> str:
    """Without weights only the input's cotangent is a result."""
    form = "unbatched" if op.const("unbatched", False) else "layer"
    text = call(op, f"instance_norm_{form}_backward", "unbatched")
    return f"{text}[0]" if op.args.get("ps") is None else text


def normalize_backward(op: Op) -> str:
    if op.ndim("input"):
        return call(op, "normalize_backward")
    text = call(op, "normalize_backward", "dim", more="dim=0")
    return f"{batched(text, 'd', 'input')}[0]"


RULES: dict[str, Rule] = {
    "layer_norm_backward": over_last("layer_norm"),
    "layer_norm_affine_backward": over_last("layer_norm_affine"),
    "rms_norm_backward": CALL,
    "group_norm_backward": CALL,
    "group_statistics_backward": CALL,
    "instance_norm_backward": CALL,
    "batch_norm_backward": batch_norm_backward,
    "local_response_norm_backward": CALL,
    "weight_norm_backward": CALL,
    "norm_except_dim_backward": CALL,
    "normalize_backward": normalize_backward,
    "p_norm_backward": pointwise(),
    "batch_norm_layer_backward": layer_backward,
    "instance_norm_layer_backward": instance_norm_layer_backward,
}

STATEFUL: dict[str, Rule] = {
    "batch_norm_layer_saved": lambda op: f"with_state({batch_norm_layer(op)}, state)",
    "instance_norm_layer_saved": (
        lambda op: f"with_state({instance_norm_layer(op)}, state)"
    ),
}
