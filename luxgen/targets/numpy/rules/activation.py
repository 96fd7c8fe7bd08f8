"""Activations, softmax and its relatives."""

from __future__ import annotations

from luxgen.targets.numpy.rules.forms import call, pointwise, promoted_tensors, scalar
from luxgen.targets.numpy.rules.op import Op, Refused, Rule
from luxgen.targets.numpy.rules.promotion import kind, np_dtype

POINTWISE = (
    "relu", "relu6", "leaky_relu", "celu", "selu", "gelu", "glu", "sigmoid", "silu",
    "mish", "hardswish", "hardsigmoid", "hardshrink", "softshrink",
    "tanhshrink", "softplus", "softsign", "logsigmoid",
)  # fmt: skip


def prelu(op: Op) -> str:
    if op.ndim("input") == 0:
        return "prelu(input[None], weight)[0]"
    return "prelu(input, weight)"


def elu(op: Op) -> str:
    if op.const("scale", 1) != 1 or op.const("input_scale", 1) != 1:
        raise Refused("elu with scale or input_scale", "use F.selu, or scale outside")
    text = call(op, "elu", "scale", "input_scale")
    return scalar(op, promoted_tensors(op, text))


def rrelu(op: Op) -> str:
    """Outside training: the mean slope."""
    if op.const("training", False):
        raise Refused("rrelu in training draws slopes", "transpile in eval mode")
    slope = (op.const("lower", 1 / 8) + op.const("upper", 1 / 3)) / 2
    return scalar(op, f"leaky_relu(input, negative_slope={slope!r})")


def along(template: str) -> Rule:
    """Rule: `template` of input and dim, computed in the dtype asked for."""

    def rule(op: Op) -> str:
        text = template
        if op.dtype("input") != op.out_dtype:
            text = text.replace("input", f"input.astype({np_dtype(op.out_dtype)})")
        if not op.has("dim"):  # as torch chooses where it is left out
            text = text.replace("dim", "0" if op.ndim("input") in (0, 1, 3) else "1")
        return scalar(op, text)

    return rule


def logsumexp(op: Op) -> str:
    text = "input" if op.ndim("input") == 0 else call(op, "logsumexp")
    return scalar(op, promoted_tensors(op, text))


def hardtanh(op: Op) -> str:
    """torch makes the bounds of integers integers."""
    if kind(op.dtype("input")) == 2:
        return scalar(op, call(op, "hardtanh"))
    bounds = (int(op.const("min_val", -1.0)), int(op.const("max_val", 1.0)))
    return scalar(op, "np.clip(input, {}, {})".format(*bounds))


RULES: dict[str, Rule] = {
    **dict.fromkeys(POINTWISE, pointwise()),
    "hardtanh": hardtanh,
    "threshold": pointwise("threshold_at"),
    "log_sigmoid": pointwise("logsigmoid"),
    "elu": elu,
    "prelu": prelu,
    "rrelu": rrelu,
    "softmax": along("softmax(input, dim)"),
    "_safe_softmax": along("safe_softmax(input, dim)"),
    "softmin": along("softmax(-input, dim)"),
    "log_softmax": along("log_softmax(input, dim)"),
    "_log_softmax": along("log_softmax(input, dim)"),
    "logsumexp": logsumexp,
}
