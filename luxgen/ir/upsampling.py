"""What torch's functions that are named for a way of upsampling do."""

from __future__ import annotations

from typing import NamedTuple


class Upsampling(NamedTuple):
    """The options of F.interpolate that the function's name settles."""

    mode: str
    align_corners: bool = False
    antialias: bool = False


UPSAMPLING: dict[str, Upsampling] = {
    "upsample_nearest": Upsampling("nearest"),
    "upsample_bilinear": Upsampling("bilinear", align_corners=True),
    **{f"upsample_nearest{n}d": Upsampling("nearest") for n in (1, 2, 3)},
    **{f"_upsample_nearest_exact{n}d": Upsampling("nearest-exact") for n in (1, 2, 3)},
    "upsample_linear1d": Upsampling("linear"),
    "upsample_bilinear2d": Upsampling("bilinear"),
    "upsample_trilinear3d": Upsampling("trilinear"),
    "upsample_bicubic2d": Upsampling("bicubic"),
    "_upsample_bilinear2d_aa": Upsampling("bilinear", antialias=True),
    "_upsample_bicubic2d_aa": Upsampling("bicubic", antialias=True),
}
# arguments of aten's functions that scale each axis by its own factor
AXIS_SCALES = ("scales", "scales_d", "scales_h", "scales_w")
