"""Normalisations; the layers with running statistics are STATEFUL."""

from __future__ import annotations

from luxgen.ir.values import Node
from luxgen.targets.numpy.rules.forms import batched, call, stateful
from luxgen.targets.numpy.rules.op import CALL, Op, Refused, Rule
from luxgen.targets.numpy.rules.promotion import kind

MODE = ("training", "momentum", "cudnn_enabled", "cudnn_enable", "use_input_stats")


def over_last(op: Op) -> str:
    """layer_norm and its kind: over as many axes as normalized_shape has."""
    dims = len(op.const("normalized_shape"))
    more = f"dims={dims}" if dims != 1 else ""
    return call(op, op.name, "normalized_shape", "cudnn_enable", more=more)


def group_norm(op: Op) -> str:
    return call(op, "group_norm", "cudnn_enabled")


def native_group_norm(op: Op) -> str:
    return call(op, "native_group_norm", "N", "C", "HxW", num_groups="group")


def batch_norm(op: Op) -> str:
    """F.batch_norm: its new running statistics are `batch_norm_update`'s."""
    if op.ndim("input") == 1:  # torch takes it where it is empty
        return "input"
    by_own = call(op, "batch_norm_training", "running_mean", "running_var", *MODE)
    if op.is_tensor("training"):  # the mode, known at run time
        return f"{by_own} if training else {call(op, 'batch_norm', *MODE)}"
    return by_own if op.const("training", False) else call(op, "batch_norm", *MODE)


def batch_norm_update(op: Op) -> str:
    if op.ndim("input") == 1:
        return "(running_mean, running_var)"
    return call(op, "batch_norm_update")


def instance_norm(op: Op) -> str:
    """F.instance_norm: its new running statistics are `instance_norm_update`'s."""
    if not op.const("use_input_stats", True):
        return call(op, "batch_norm", *MODE)
    return call(op, "instance_norm", "running_mean", "running_var", *MODE)


def local_response_norm(op: Op) -> str:
    if kind(op.dtype("input")) < 2:
        raise Refused("local_response_norm of integers", "convert the input to float")
    return call(op, "local_response_norm")


def normalize(op: Op) -> str:
    if op.ndim("input") == 0:
        return batched(call(op, "normalize", "dim", more="dim=0"), "input") + "[0]"
    dim = op.const("dim", 1)
    if not isinstance(dim, (tuple, list)):
        return call(op, "normalize")
    if len(dim) == 1:
        return call(op, "normalize", "dim", more=f"dim={dim[0]}")
    if op.const("p", 2.0) != 2:
        raise Refused("F.normalize over several dims with p != 2", "flatten the dims")
    return call(op, "normalize_over", "p")


def batch_norm_layer(op: Op) -> str:
    """nn.BatchNorm with its own weight and bias, weight alone, or plain."""
    ps = op.args.get("ps")
    if ps is None:
        return stateful(op, "batch_norm_plain", "ps")
    held = ps.leaves if isinstance(ps, Node) else ps
    return stateful(op, "batch_norm_layer" if len(held) == 2 else "batch_norm_scale")


def instance_norm_layer(op: Op) -> str:
    """momentum=None leaves the statistics as they are: torch passes 0."""
    form = "unbatched" if op.const("unbatched", False) else "layer"
    if op.args.get("momentum", 0.1) is None:
        text = stateful(op, f"instance_norm_{form}", "momentum", "unbatched")
        return f"{text[:-1]}, momentum=0.0)"
    return stateful(op, f"instance_norm_{form}", "unbatched")


RULES: dict[str, Rule] = {
    "layer_norm": over_last,
    "rms_norm": over_last,
    "native_layer_norm": over_last,
    "group_norm": group_norm,
    "native_group_norm": native_group_norm,
    "instance_norm": instance_norm,
    "batch_norm": batch_norm,
    "batch_norm_update": batch_norm_update,
    "instance_norm_update": CALL,
    "local_response_norm": local_response_norm,
    "normalize": normalize,
    "_weight_norm": lambda op: call(op, "weight_norm"),
    "norm_except_dim": lambda op: call(op, "norm_except_dim"),
}

STATEFUL: dict[str, Rule] = {
    "batch_norm_layer": batch_norm_layer,
    "instance_norm_layer": instance_norm_layer,
}
