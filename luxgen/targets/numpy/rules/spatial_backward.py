"""Cotangents of padding, sliding windows, shuffled channels and sampled grids."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Rule
from luxgen.targets.numpy.rules.spatial import call, flag, sequence


def pad(op: Op) -> str:
    mode = repr(op.const("mode"))
    return call("pad_backward", "d", sequence(op, "pad"), mode=mode)


def grid_sample(op: Op) -> str:
    return call(
        "grid_sample_backward",
        "d",
        "input",
        "grid",
        mode=repr(op.const("mode")),
        padding_mode=repr(op.const("padding_mode")),
        align_corners=str(flag(op, "align_corners")),
    )


def affine_grid(op: Op) -> str:
    corners = str(flag(op, "align_corners"))
    return call("affine_grid_backward", "d", align_corners=corners)


RULES: dict[str, Rule] = {
    "pad_backward": pad,
    "grid_sample_backward": grid_sample,
    "affine_grid_backward": affine_grid,
    "unfold_backward": "unfold_dim_backward(d, input.shape, dimension, step)",
    "channel_shuffle_backward": "channel_shuffle(d, d.shape[1] // groups)",
}
