"""VJP rows of sliding windows, channels to space and back, and sampled grids."""

from __future__ import annotations

from typing import Any

from luxgen.ir.values import Value
from luxgen.passes.vjp.row import Cotangents, Row, Vjp

WINDOW = ("kernel_size", "dilation", "padding", "stride")


def window(g: Row) -> dict[str, Any]:
    return {name: g.arg(name) for name in WINDOW if g.has(name)}


def unfold(g: Row) -> Cotangents:
    """Tensor.unfold, or F.unfold: blocks as columns."""
    x = g["input"]
    if "dimension" not in g.op.args:
        size = x.size(-2), x.size(-1)
        dx = g.tape.op("col2im", like=x, input=g.d, output_size=size, **window(g))
    elif x.ndim == 0:
        dx = g.d.sum()
    else:
        options = {"dimension": g.arg("dimension"), "step": g.arg("step")}
        dx = g.tape.op("unfold_backward", like=x, d=g.d, input=x, **options)
    return {"input": dx}


def fold(g: Row) -> Cotangents:
    return {"input": g.tape.op("im2col", like=g["input"], input=g.d, **window(g))}


def pixel_shuffle(g: Row) -> Cotangents:
    factor = g.arg("upscale_factor")
    x = g["input"]
    dx = g.tape.op("pixel_unshuffle", like=x, input=g.d, downscale_factor=factor)
    return {"input": dx}


def pixel_unshuffle(g: Row) -> Cotangents:
    factor = g.arg("downscale_factor")
    x = g["input"]
    return {
        "input": g.tape.op("pixel_shuffle", like=x, input=g.d, upscale_factor=factor)
    }


def channel_shuffle(g: Row) -> Cotangents:
    x, groups = g["input"], g.arg("groups")
    dx = g.tape.op("channel_shuffle_backward", like=x, d=g.d, groups=groups)
    return {"input": dx}


def grid_sample(g: Row) -> Cotangents:
    mode, outside = g.const("mode", "bilinear"), g.const("padding_mode", "zeros")
    return sampled(g, mode, outside)


def grid_sampler(g: Row) -> Cotangents:
    """aten's form, with numbered modes."""
    mode = ("bilinear", "nearest", "bicubic")[g.const("interpolation_mode", 0)]
    outside = ("zeros", "border", "reflection")[g.const("padding_mode", 0)]
    return sampled(g, mode, outside)


def sampled(g: Row, mode: str, padding_mode: str) -> Cotangents:
    x, grid = g["input"], g["grid"]
    args: dict[str, Any] = {"d": g.d, "input": x, "grid": grid, "mode": mode}
    args["padding_mode"] = padding_mode
    args["align_corners"] = bool(g.const("align_corners", False))
    results = tuple(Value(t.dtype, t.shape, t.witness) for t in (x, grid))
    dx, dgrid = g.tape.emit("grid_sample_backward", args, results)
    return {"input": dx, "grid": dgrid}


def affine_grid(g: Row) -> Cotangents:
    corners = bool(g.const("align_corners", False))
    theta = g["theta"]
    d = g.tape.op("affine_grid_backward", like=theta, d=g.d, align_corners=corners)
    return {"theta": d}


VJP: dict[str, Vjp] = {
    "unfold": unfold,
    "unfold_copy": unfold,
    "im2col": unfold,
    "fold": fold,
    "col2im": fold,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "channel_shuffle": channel_shuffle,
    "grid_sample": grid_sample,
    "grid_sampler": grid_sampler,
    "grid_sampler_2d": grid_sampler,
    "grid_sampler_3d": grid_sampler,
    "affine_grid": affine_grid,
    "affine_grid_generator": affine_grid,
}
