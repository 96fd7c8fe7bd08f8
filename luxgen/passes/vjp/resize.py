"""VJP rows of interpolation: one op, `interpolate_backward`, for all forms."""

from __future__ import annotations

from typing import Any

from luxgen.ir.upsampling import AXIS_SCALES, UPSAMPLING, Upsampling
from luxgen.passes.vjp.row import Cotangents, NoGradient, Row, Vjp

OPTIONS = (
    "size",
    "scale_factor",
    "align_corners",
    "recompute_scale_factor",
    "antialias",
)


def interpolate(g: Row) -> Cotangents:
    """F.interpolate and F.upsample."""
    options = {name: g.arg(name) for name in OPTIONS if g.has(name)}
    return resized(g, g.const("mode", "nearest"), options)


def upsample(form: Upsampling) -> Vjp:
    """A function named for its mode: aten's and two of F's."""

    def row(g: Row) -> Cotangents:
        options: dict[str, Any] = {}
        for name in ("size", "output_size"):
            if g.has(name):
                options["size"] = g.arg(name)
        for name in ("scale_factor", "scale_factors"):
            if g.has(name):
                options["scale_factor"] = g.arg(name)
        steps = [n for n in AXIS_SCALES if g.has(n)]
        if len(steps) == g["input"].ndim - 2:
            options["scale_factor"] = tuple(g.arg(n) for n in steps)
        if form.align_corners or g.arg("align_corners"):
            options["align_corners"] = True
        if form.antialias:
            options["antialias"] = True
        return resized(g, form.mode, options)

    return row


def resized(g: Row, mode: str, options: dict[str, Any]) -> Cotangents:
    x = g["input"]
    if not x.is_float:
        raise NoGradient(f"{g.op.name} of {x.dtype} has no gradient")
    if mode == "area":
        name = f"adaptive_avg_pool{x.ndim - 2}d_backward"
        return {"input": g.tape.op(name, like=x, d=g.d, input=x)}
    dx = g.tape.op("interpolate_backward", like=x, d=g.d, input=x, mode=mode, **options)
    return {"input": dx}


VJP: dict[str, Vjp] = {
    "interpolate": interpolate,
    "upsample": interpolate,
    **{name: upsample(form) for name, form in UPSAMPLING.items()},
}
