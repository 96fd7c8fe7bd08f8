"""Convolutions and their transposes."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Rule
from luxgen.targets.numpy.rules.spatial import batched, call, flag, window


def conv(op: Op) -> str:
    """conv1d, conv2d, conv3d; with groups the N-d grouped_conv."""
    nd = op.ndim("weight") - 2
    x, unbatch = batched(op, nd)
    padding, dilation = window(op, "padding"), window(op, "dilation")
    if op.args.get("padding") == "same":
        x, padding = call("pad_same", x, "weight", dilation=dilation), None
    elif op.args.get("padding") == "valid":
        padding = None
    options = {"stride": window(op, "stride"), "padding": padding, "dilation": dilation}
    name = f"conv{nd}d" if op.args.get("groups", 1) == 1 else "grouped_conv"
    return call(name, x, *weights(op), **options) + unbatch


def conv_transpose(op: Op) -> str:
    x, unbatch = batched(op, op.ndim("weight") - 2)
    names = ("stride", "padding", "output_padding", "groups", "dilation")
    options = {name: window(op, name) for name in names}
    return call("conv_transpose", x, *weights(op), **options) + unbatch


def convolution(op: Op) -> str:
    """aten's common form of all of them."""
    return conv_transpose(op) if flag(op, "transposed") else conv(op)


def conv_tbc(op: Op) -> str:
    """Time x batch x channel input: conv1d of the transposed arrays."""
    x, weight = "input.transpose(1, 2, 0)", "weight.transpose(2, 1, 0)"
    y = call("conv1d", x, weight, "bias", padding=window(op, "pad"))
    return f"{y}.transpose(2, 0, 1)"


def weights(op: Op) -> list[str]:
    return ["weight", "bias"] if op.has("bias") else ["weight"]


RULES: dict[str, Rule] = {
    "conv1d": conv,
    "conv2d": conv,
    "conv3d": conv,
    "conv_transpose1d": conv_transpose,
    "conv_transpose2d": conv_transpose,
    "conv_transpose3d": conv_transpose,
    "convolution": convolution,
    "_convolution": convolution,
    "conv_tbc": conv_tbc,
}
