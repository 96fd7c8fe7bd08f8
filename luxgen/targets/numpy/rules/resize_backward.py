"""Cotangents of interpolation."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Rule
from luxgen.targets.numpy.rules.resize import factors, whole
from luxgen.targets.numpy.rules.spatial import call, flag, per_axis


def interpolate(op: Op) -> str:
    """The helper for a mode; sizes are d's and the input's, scale factors say more."""
    nd = op.ndim("input") - 2
    mode, scale = op.const("mode"), per_axis(op, "scale_factor", nd)
    given = "d", f"input.shape[-{nd}:]"
    if mode in ("nearest", "nearest-exact"):
        if "size" not in op.args and whole(op):
            return sums(op, nd)
        exact = str(mode == "nearest-exact")
        name = "interpolate_nearest_backward"
        return call(name, *given, scale_factor=recomputed(op, scale), exact=exact)
    return call(
        "interpolate_weighted_backward",
        *given,
        scale_factor=recomputed(op, scale),
        align_corners=str(flag(op, "align_corners")),
        cubic=str(mode == "bicubic"),
        antialias=str(flag(op, "antialias")),
    )


def recomputed(op: Op, scale: str | None) -> str | None:
    """The scale factors, unless torch takes the ratio of the sizes instead."""
    return None if flag(op, "recompute_scale_factor") else scale


def sums(op: Op, nd: int) -> str:
    """Sums of windows: what nearest neighbours at whole factors have repeated."""
    window = tuple(int(f) for f in factors(op))
    if nd == 1:
        return f"avg_pool1d(d, {window[0]}) * {window[0]}"
    same = window[0] if len(set(window)) == 1 else window
    return f"avg_pool{nd}d(d, {same}, divisor_override=1)"


RULES: dict[str, Rule] = {"interpolate_backward": interpolate}
