"""Cotangents of convolutions."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Rule
from luxgen.targets.numpy.rules.spatial import call, window


def input_backward(op: Op) -> str:
    """From d and the weight; the input only tells its size."""
    dilation = window(op, "dilation")
    padding = window(op, "padding")
    if op.args.get("padding") == "same":
        padding = call("same_padding", "weight", dilation=dilation)
    given, more = ["d", "weight", "input.shape[2:]"], options(op, padding, dilation)
    groups = more.pop("groups")
    if groups in (None, "1"):
        return call("conv_input_backward", *given, **more)
    return call("grouped_conv_input_backward", *given, groups, **more)


def weight_backward(op: Op) -> str:
    """From d and the input; the weight only tells its kernel's size."""
    x, padding, dilation = "input", window(op, "padding"), window(op, "dilation")
    if op.args.get("padding") == "same":
        x, padding = call("pad_same", x, "weight", dilation=dilation), None
    return call(
        "conv_weight_backward",
        "d",
        x,
        "weight.shape[2:]",
        output_padding=window(op, "output_padding"),
        **options(op, padding, dilation),
    )


def options(op: Op, padding: str | None, dilation: str | None) -> dict[str, str | None]:
    if op.args.get("padding") == "valid":
        padding = None
    stride, groups = window(op, "stride"), window(op, "groups")
    return {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }


RULES: dict[str, Rule] = {
    **{f"conv{n}d_input_backward": input_backward for n in (1, 2, 3)},
    **{f"conv{n}d_weight_backward": weight_backward for n in (1, 2, 3)},
}
