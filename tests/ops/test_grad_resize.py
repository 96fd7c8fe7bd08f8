"""VJP rows of interpolation against torch.autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tests.ops.gradcheck import check_vjp, t
from tests.ops.test_resize import LINEAR, SIZES

TARGETS: list[dict[str, Any]] = [
    {"size": 17},
    {"size": 4},
    {"size": 1},
    {"scale_factor": 2},
    {"scale_factor": 1.7},
    {"scale_factor": 0.6},
]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
DIMS = pytest.mark.parametrize("nd", [1, 2, 3])
EACH_TARGET = pytest.mark.parametrize("target", TARGETS, ids=str)


@DIMS
@EACH_TARGET
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "area"])
def test_interpolate_nearest(nd: int, mode: str, target: dict[str, Any]) -> None:
    check_vjp(F.interpolate, t(2, 3, *SIZES[nd]), mode=mode, **target)
    if "scale_factor" in target:
        options = {"recompute_scale_factor": True, **target}
        check_vjp(F.interpolate, t(2, 3, *SIZES[nd]), mode=mode, **options)


@DIMS
@EACH_TARGET
@pytest.mark.parametrize("corners", [False, True])
def test_interpolate_linear(nd: int, corners: bool, target: dict[str, Any]) -> None:
    options = {"align_corners": corners, **target}
    check_vjp(F.interpolate, t(2, 3, *SIZES[nd]), mode=LINEAR[nd], **options)
    if "scale_factor" in target:
        options["recompute_scale_factor"] = True
        check_vjp(F.interpolate, t(2, 3, *SIZES[nd]), mode=LINEAR[nd], **options)


@EACH_TARGET
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("corners", [False, True])
def test_interpolate_2d(
    mode: str, antialias: bool, corners: bool, target: dict[str, Any]
) -> None:
    options = {"mode": mode, "antialias": antialias, "align_corners": corners}
    check_vjp(F.interpolate, t(2, 3, 9, 11), **options, **target)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area"])
def test_interpolate_per_axis(mode: str) -> None:
    check_vjp(F.interpolate, t(2, 3, 9, 11), size=(5, 17), mode=mode)
    check_vjp(F.interpolate, t(2, 3, 9, 11), size=[9, 11], mode=mode)
    check_vjp(F.interpolate, t(2, 3, 9, 11), scale_factor=(0.6, 2.0), mode=mode)
    check_vjp(F.interpolate, t(2, 3, 9, 11), scale_factor=(3.0, 1.0), mode=mode)
    check_vjp(F.interpolate, t(0, 3, 9, 11), size=(5, 17), mode=mode)
    check_vjp(F.interpolate, t(2, 3, 9, 11).double().detach().requires_grad_(), size=6)


def test_upsample_names() -> None:
    x, nn = t(2, 3, 6, 7), torch._C._nn
    check_vjp(F.upsample, x, scale_factor=2)
    check_vjp(F.upsample, x, (9, 8), mode="bicubic")
    check_vjp(F.upsample_nearest, x, scale_factor=2)
    check_vjp(F.upsample_bilinear, x, (9, 8))
    check_vjp(nn.upsample_nearest2d, x, (9, 8))
    check_vjp(nn.upsample_nearest2d, x, None, (1.5, 2.0))
    check_vjp(nn.upsample_bilinear2d, x, (9, 8), True)
    check_vjp(nn.upsample_bilinear2d, x, (9, 10), False, 1.6, 1.5)
    check_vjp(nn.upsample_bicubic2d, x, (9, 8), False)
    check_vjp(nn.upsample_linear1d, t(2, 3, 7), (9,), False, 1.4)
    check_vjp(nn.upsample_trilinear3d, t(1, 2, 3, 6, 7), (2, 8, 9), False)
    check_vjp(nn._upsample_nearest_exact2d, x, (9, 8))
    check_vjp(nn._upsample_bilinear2d_aa, x, (3, 4), False)
    check_vjp(nn._upsample_bilinear2d_aa, x, (3, 3), False, 1.7, 0.9)
    check_vjp(nn._upsample_bicubic2d_aa, x, (3, 4), False)


def test_text() -> None:
    text = check_vjp(F.interpolate, t(1, 2, 4, 4), scale_factor=2.0)
    assert text.splitlines()[-1] == "avg_pool2d(v0, 2, divisor_override=1)"
