"""Interpolation, padding, pixel rearrangement, im2col and grid sampling."""

from __future__ import annotations

from luxgen.ir.upsampling import AXIS_SCALES, UPSAMPLING, Upsampling
from luxgen.targets.numpy.rules.op import CALL, Op, Refused, Rule, helper
from luxgen.targets.numpy.rules.spatial import (
    batched,
    call,
    constant,
    flag,
    per_axis,
    require_float,
    sequence,
    window,
)

FILTERS = {
    "linear": "interpolate_linear",
    "bilinear": "interpolate_linear",
    "trilinear": "interpolate_linear",
    "bicubic": "interpolate_cubic",
}


def interpolate(op: Op) -> str:
    """F.interpolate and F.upsample."""
    nd = op.ndim("input") - 2
    size, scale = per_axis(op, "size", nd), per_axis(op, "scale_factor", nd)
    if flag(op, "recompute_scale_factor") and scale is not None and not whole(op):
        size, scale = f"scaled_size(input, {scale})", None
    mode = op.const("mode", "nearest")
    corners, antialias = flag(op, "align_corners"), flag(op, "antialias")
    return resized(op, mode, size, scale, corners=corners, antialias=antialias)


def upsample(form: Upsampling) -> Rule:
    """A function named for its mode: aten's and two of F's."""

    def rule(op: Op) -> str:
        nd = op.ndim("input") - 2
        size = per_axis(op, "output_size", nd) or per_axis(op, "size", nd)
        scale = per_axis(op, "scale_factors", nd) or per_axis(op, "scale_factor", nd)
        names = [n for n in AXIS_SCALES if op.has(n)]
        if len(names) == nd:
            scale = f"({', '.join(names)},)"
        corners = form.align_corners or flag(op, "align_corners")
        smooth = form.antialias
        return resized(op, form.mode, size, scale, corners=corners, antialias=smooth)

    return rule


def resized(
    op: Op,
    mode: str,
    size: str | None,
    scale: str | None,
    *,
    corners: bool,
    antialias: bool,
) -> str:
    """The helper call for a mode, from the text of the size or of the scale factors."""
    if mode == "area":
        require_float(op)
        return f"adaptive_avg_pool(input, {size or f'scaled_size(input, {scale})'})"
    given = ["input"] if size is None else ["input", size]
    if mode in ("nearest", "nearest-exact"):
        exact = str(mode == "nearest-exact")
        plain = call("interpolate_nearest", *given, scale_factor=scale, exact=exact)
        return repeats(op) if size is None and whole(op) else plain
    if op.dtype("input") not in ("float32", "float64"):
        raise Refused(
            f"{mode} interpolation of {op.dtype('input')} rounds as torch's kernels do",
            "convert the input to float first",
        )
    options = {"scale_factor": scale, "align_corners": str(corners)}
    if antialias:
        cubic = str(mode == "bicubic")
        return call("interpolate_antialias", *given, **options, cubic=cubic)
    return call(FILTERS[mode], *given, **options)


def factors(op: Op) -> tuple[float, ...]:
    """The constant scale factors of F.interpolate, () if there are none."""
    value = op.args.get("scale_factor")
    if value is None or not constant(value):
        return ()
    if isinstance(value, (tuple, list)):
        return tuple(value)
    return (value,) * (op.ndim("input") - 2)


def whole(op: Op) -> bool:
    return bool(factors(op)) and all(f >= 1 and f == int(f) for f in factors(op))


def repeats(op: Op) -> str:
    """Nearest neighbours at whole factors, the last axis first."""
    return "input" + "".join(
        f".repeat({int(factor)}, axis={-1 - k})"
        for k, factor in enumerate(reversed(factors(op)))
        if factor != 1
    )


def pad(op: Op) -> str:
    """F.pad."""
    return padded(op, "pad", op.const("mode", "constant"))


def pad_mode(mode: str) -> Rule:
    """aten's functions for one mode each."""
    return lambda op: padded(op, "pad" if "pad" in op.args else "padding", mode)


NUMPY_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def padded(op: Op, name: str, mode: str) -> str:
    """np.pad or a slice where the signs are known, else the helper."""
    amounts, ndim = op.args[name], op.ndim("input")
    value = "value" if op.has("value") and op.args["value"] != 0 else None
    if isinstance(amounts, int):
        raise Refused(f"{op.name}: one number for all sides", "give one for each side")
    if constant(amounts) and min(amounts) >= 0:
        pairs = list(zip(amounts[-2::-2], amounts[::-2], strict=True))
        pairs = [(0, 0)] * (ndim - len(pairs)) + pairs
        option = ""
        if mode != "constant":
            option = f", mode='{NUMPY_MODES[mode]}'"
        elif value is not None:
            option = f", constant_values={value}"
        return f"np.pad(input, {tuple(pairs)}{option})"
    if constant(amounts) and max(amounts) <= 0:
        pairs = list(zip(amounts[-2::-2], amounts[::-2], strict=True))
        cuts = [f"{-a or ''}:{b or ''}" for a, b in pairs]
        return f"input[{', '.join(['...', *cuts])}]"
    pads = sequence(op, name)
    return call("pad_sides", "input", pads, mode=repr(mode), value=value)


def im2col(op: Op) -> str:
    """F.unfold."""
    x, unbatch = batched(op, 2)
    names = ("dilation", "padding", "stride")
    options = {name: window(op, name) for name in names}
    return call("unfold", x, str(window(op, "kernel_size")), **options) + unbatch


def col2im(op: Op) -> str:
    """F.fold."""
    x, unbatch = batched(op, 1)
    sizes = [str(window(op, name)) for name in ("output_size", "kernel_size")]
    names = ("dilation", "padding", "stride")
    options = {name: window(op, name) for name in names}
    return call("fold", x, *sizes, **options) + unbatch


def grid_sample(op: Op) -> str:
    return sampled(op, op.const("mode", "bilinear"), op.const("padding_mode", "zeros"))


def grid_sampler(op: Op) -> str:
    """aten's form, with numbered modes."""
    mode = ("bilinear", "nearest", "bicubic")[op.const("interpolation_mode", 0)]
    outside = ("zeros", "border", "reflection")[op.const("padding_mode", 0)]
    return sampled(op, mode, outside)


def sampled(op: Op, mode: str, padding_mode: str) -> str:
    options = {"mode": repr(mode), "padding_mode": repr(padding_mode)}
    corners = str(flag(op, "align_corners"))
    return call("grid_sample", "input", "grid", **options, align_corners=corners)


def affine_grid(op: Op) -> str:
    corners = str(flag(op, "align_corners"))
    return call("affine_grid", "theta", sequence(op, "size"), align_corners=corners)


def channel_shuffle(op: Op) -> str:
    return helper(op, "channel_shuffle")


RULES: dict[str, Rule] = {
    "interpolate": interpolate,
    "upsample": interpolate,
    **{name: upsample(form) for name, form in UPSAMPLING.items()},
    "pad": pad,
    "constant_pad_nd": pad_mode("constant"),
    **{f"reflection_pad{n}d": pad_mode("reflect") for n in (1, 2, 3)},
    **{f"replication_pad{n}d": pad_mode("replicate") for n in (1, 2, 3)},
    "pixel_shuffle": CALL,
    "pixel_unshuffle": CALL,
    "channel_shuffle": channel_shuffle,
    "native_channel_shuffle": channel_shuffle,
    "im2col": im2col,
    "fold": col2im,
    "col2im": col2im,
    "grid_sample": grid_sample,
    "grid_sampler": grid_sampler,
    "grid_sampler_2d": grid_sampler,
    "grid_sampler_3d": grid_sampler,
    "affine_grid": affine_grid,
    "affine_grid_generator": affine_grid,
}
