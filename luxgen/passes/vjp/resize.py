"""VJP rows of interpolation: one op, `interpolate_backward`, for all forms."""

from __future__ import annotations

from typing import Any

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


def upsample(mode: str, *, corners: bool = False, antialias: bool = False) -> Vjp:
    """A function named for its mode: aten's and two of F's."""

    def row(g: Row) -> Cotangents:
        options: dict[str, Any] = {}
        for name in ("size", "output_size"):
            if g.has(name):
                options["size"] = g.arg(name)
        for name in ("scale_factor", "scale_factors"):
            if g.has(name):
                options["scale_factor"] = g.arg(name)
        steps = [n for n in ("scales", "scales_d", "scales_h", "scales_w") if g.has(n)]
        if len(steps) == g["input"].ndim - 2:
            options["scale_factor"] = tuple(g.arg(n) for n in steps)
        if corners or g.arg("align_corners"):
            options["align_corners"] = True
        if antialias:
            options["antialias"] = True
        return resized(g, mode, options)

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
    "upsample_nearest": upsample("nearest"),
    "upsample_bilinear": upsample("bilinear", corners=True),
    **{f"upsample_nearest{n}d": upsample("nearest") for n in (1, 2, 3)},
    **{f"_upsample_nearest_exact{n}d": upsample("nearest-exact") for n in (1, 2, 3)},
    "upsample_linear1d": upsample("linear"),
    "upsample_bilinear2d": upsample("bilinear"),
    "upsample_trilinear3d": upsample("trilinear"),
    "upsample_bicubic2d": upsample("bicubic"),
    "_upsample_bilinear2d_aa": upsample("bilinear", antialias=True),
    "_upsample_bicubic2d_aa": upsample("bicubic", antialias=True),
}
