"""Cotangents of pooling."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Rule
from luxgen.targets.numpy.rules.pool import averaging, strided
from luxgen.targets.numpy.rules.spatial import call, flag, per_axis, window


def max_pool(nd: int) -> Rule:
    def rule(op: Op) -> str:
        _, stride = strided(op)
        return call(
            "max_pool_backward",
            "d",
            "input",
            str(per_axis(op, "kernel_size", nd)),
            stride=None if stride is None else per_axis(op, "stride", nd),
            padding=window(op, "padding"),
            dilation=dilated(op, nd),
            ceil_mode=str(flag(op, "ceil_mode")),
        )

    return rule


def dilated(op: Op, nd: int) -> str | None:
    """The dilation by axis, None where there is none."""
    plain = window(op, "dilation") in (None, "1")
    return None if plain else per_axis(op, "dilation", nd)


def avg_pool(nd: int) -> Rule:
    def rule(op: Op) -> str:
        _, stride = strided(op)
        return call(
            "avg_pool_backward",
            "d",
            f"input.shape[-{nd}:]",
            str(per_axis(op, "kernel_size", nd)),
            stride=None if stride is None else per_axis(op, "stride", nd),
            **averaging(op),
        )

    return rule


RULES: dict[str, Rule] = {
    **{f"max_pool{n}d_backward": max_pool(n) for n in (1, 2, 3)},
    **{f"avg_pool{n}d_backward": avg_pool(n) for n in (1, 2, 3)},
    **{
        f"adaptive_avg_pool{n}d_backward": (
            f"adaptive_avg_pool_backward(d, input.shape[-{n}:])"
        )
        for n in (1, 2, 3)
    },
    **{
        f"pool{n}d_indices_backward": (
            f"pool_indices_backward(d, indices, input.shape[-{n}:])"
        )
        for n in (1, 2, 3)
    },
    "max_pool2d_with_indices_backward": (
        "pool_indices_backward(grad_output, indices, input.shape[-2:])"
    ),
    **{
        f"max_unpool{n}d_backward": f"max_unpool_backward(d, indices, {n})"
        for n in (1, 2, 3)
    },
}
