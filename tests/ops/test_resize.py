"""Interpolation, padding, pixel rearrangement, im2col, grid sampling against torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from luxgen.targets.numpy.rules.op import Refused
from tests.ops.opcheck import check

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

SIZES = {1: (13,), 2: (9, 11), 3: (4, 5, 6)}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
TARGETS = [{"size": 7}, {"size": 20}, {"size": 1}, {"scale_factor": 2}]
TARGETS += [{"scale_factor": s} for s in (0.5, 1.5, 0.7, 2.3, 1.1)]


def randn(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape) + len(shape))
    return torch.randn(shape, generator=generator)


@pytest.mark.parametrize("nd", [1, 2, 3])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "area"])
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_interpolate_nearest(nd: int, mode: str, target: dict[str, Any]) -> None:
    x = randn(2, 3, *SIZES[nd])
    check(F.interpolate, x, mode=mode, **target)
    if "scale_factor" in target:
        check(F.interpolate, x, mode=mode, recompute_scale_factor=True, **target)


@pytest.mark.parametrize("nd", [1, 2, 3])
@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_interpolate_linear(nd: int, corners: bool, target: dict[str, Any]) -> None:
    x, options = randn(2, 3, *SIZES[nd]), {"align_corners": corners, **target}
    check(F.interpolate, x, mode=LINEAR[nd], **options)
    if "scale_factor" in target:
        options["recompute_scale_factor"] = True
        check(F.interpolate, x, mode=LINEAR[nd], **options)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_interpolate_2d(
    mode: str, antialias: bool, corners: bool, target: dict[str, Any]
) -> None:
    options = {"mode": mode, "antialias": antialias, "align_corners": corners}
    check(F.interpolate, randn(2, 3, 9, 11), **options, **target)
    check(F.interpolate, randn(1, 2, 16, 5), **options, **target)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area"])
def test_interpolate_per_axis(mode: str) -> None:
    x = randn(2, 3, 9, 11)
    check(F.interpolate, x, size=(5, 17), mode=mode)
    check(F.interpolate, x, size=[9, 11], mode=mode)
    check(F.interpolate, x, scale_factor=(0.6, 2.0), mode=mode)
    check(F.interpolate, x, scale_factor=(3.0, 1.0), mode=mode)
    check(F.interpolate, x[:0], size=(5, 17), mode=mode)
    check(F.interpolate, x.permute(0, 1, 3, 2), scale_factor=2, mode=mode)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_nearest_at_many_factors(mode: str) -> None:
    """Float32 rounding of the source index decides between neighbours."""
    for n in (3, 10, 31):
        x = torch.arange(2.0 * n).reshape(1, 2, n)
        for k in range(1, 40):
            check(F.interpolate, x, size=k, mode=mode)
            check(F.interpolate, x, scale_factor=k / 7, mode=mode) if k * n >= 7 else 0


def test_interpolate_dtypes() -> None:
    x = randn(1, 3, 6, 7)
    for mode in ("nearest", "bilinear", "bicubic", "area"):
        check(F.interpolate, x.double(), scale_factor=(2, 0.5), mode=mode)
    pixels = (x * 40 + 128).to(torch.uint8)
    check(F.interpolate, pixels, scale_factor=1.5)
    check(F.interpolate, pixels, scale_factor=2)
    with pytest.raises(Refused, match="uint8"):
        check(F.interpolate, pixels, scale_factor=2, mode="bilinear")


def test_upsample_names() -> None:
    x, nn = randn(2, 3, 6, 7), torch._C._nn
    check(F.upsample, x, scale_factor=2)
    check(F.upsample, x, (9, 8), mode="bicubic")
    check(F.upsample_nearest, x, scale_factor=2)
    check(F.upsample_bilinear, x, (9, 8))
    check(nn.upsample_nearest2d, x, (9, 8))
    check(nn.upsample_nearest2d, x, None, (1.5, 2.0))
    check(nn.upsample_bilinear2d, x, (9, 8), True)
    check(nn.upsample_bilinear2d, x, (9, 10), False, 1.6, 1.5)
    check(nn.upsample_bicubic2d, x, (9, 8), False)
    check(nn.upsample_linear1d, x[0], (9,), False, 1.4)
    check(nn.upsample_trilinear3d, x[None], (2, 8, 9), False)
    check(nn._upsample_nearest_exact2d, x, (9, 8))
    check(nn._upsample_bilinear2d_aa, x, (3, 4), False)
    check(nn._upsample_bilinear2d_aa, x, (3, 3), False, 1.7, 0.9)
    check(nn._upsample_bicubic2d_aa, x, (3, 4), False)


PADS = [(1, 2), (2, 0), (-1, 2), (3, -2), (-2, -1), (0, -1), (0, 0)]


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("pad", [*PADS, (1, 2, 3, 0), (-1, 2, 1, -2)], ids=str)
def test_pad(mode: str, pad: tuple[int, ...]) -> None:
    x = randn(2, 3, 5, 6)[: None if len(pad) == 4 else 1]
    check(F.pad, x if len(pad) == 4 else x[0], pad, mode=mode)


def test_pad_forms() -> None:
    x = randn(2, 3, 5, 6)
    check(F.pad, x, [1, 2, 0, 3, 1, 0, 2, 2], value=-1.5)
    check(F.pad, x, (1, -2, 0, 3), value=torch.inf)
    check(F.pad, x, (1, 1), "constant", None)
    check(F.pad, x > 0, (1, 2), value=True)
    check(F.pad, x.long(), (1, 2, -1, 0), value=7)
    check(F.pad, x[:0], (1, 2))
    check(F.pad, torch.arange(5.0), (2, 1))
    for mode in ("reflect", "replicate", "circular"):
        check(F.pad, x[None], (1, 2, 3, 0, 1, 1), mode=mode)
    nn = torch._C._nn
    check(torch.constant_pad_nd, x, (1, -2), 3.0)
    check(nn.reflection_pad2d, x, (1, 2, 3, 0))
    check(nn.replication_pad1d, x[0], (1, 2))


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_pixel_shuffle(factor: int) -> None:
    x = randn(2, 4 * factor**2, 5, 6)
    check(F.pixel_shuffle, x, factor)
    check(F.pixel_shuffle, x[0], factor)
    check(F.pixel_shuffle, x[:0], factor)
    x = randn(2, 3, 5 * factor, 6 * factor)
    check(F.pixel_unshuffle, x, factor)
    check(F.pixel_unshuffle, x[None], factor)


def test_channel_shuffle() -> None:
    for shape in ((2, 6, 4), (2, 6, 4, 5), (0, 6, 4, 5)):
        check(F.channel_shuffle, randn(*shape), 3)
        check(torch.native_channel_shuffle, randn(*shape), 2)


BLOCKS: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": (3, 2), "stride": 2},
    {"kernel_size": 3, "padding": (1, 2), "dilation": 2},
    {"kernel_size": [2, 3], "stride": (3, 1), "padding": 1, "dilation": (1, 2)},
]


@pytest.mark.parametrize("options", BLOCKS, ids=str)
def test_unfold_and_fold(options: dict[str, Any]) -> None:
    x = randn(2, 3, 8, 9)
    columns = F.unfold(x, **options)
    pairs = {"kernel_size": 1, "dilation": 1, "padding": 0, "stride": 1} | options
    lists = [v if isinstance(v, (tuple, list)) else (v, v) for v in pairs.values()]
    check(torch._C._nn.im2col, x, *lists)
    check(torch._C._nn.im2col, x[0], *lists)
    check(torch._C._nn.col2im, columns, (8, 9), *lists)
    check(F.unfold, x, **options)
    check(F.fold, columns, (8, 9), **options)
    check(F.fold, columns[0], (8, 9), **options)
    check(F.fold, columns[:0], (8, 9), **options)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("corners", [False, True])
def test_grid_sample(mode: str, padding: str, corners: bool) -> None:
    grid = randn(2, 6, 7, 2) * 1.5
    check(F.grid_sample, randn(2, 3, 8, 9), grid, mode, padding, corners)
    check(F.grid_sample, randn(2, 3, 1, 9), grid, mode, padding, corners)
    if mode != "bicubic":
        grid = randn(2, 4, 3, 5, 3) * 1.5
        check(F.grid_sample, randn(2, 3, 4, 5, 6), grid, mode, padding, corners)


def test_grid_points_on_and_beyond_the_edges() -> None:
    x = randn(1, 2, 4, 4)
    line = torch.tensor([-1.0, 1.0, -0.75, 0.25, 0.0, 1e20, -1e20, 3.0])
    grid = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1)[None]
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border"):
            check(F.grid_sample, x, grid, mode, padding, True)
    check(torch.grid_sampler, x, grid, 1, 1, False)
    check(torch.grid_sampler_2d, x, grid[:, :4, :4], 2, 2, True)
    check(torch.grid_sampler_3d, x[None], randn(1, 2, 2, 2, 3), 0, 2, True)


def test_nan_grid_reads_as_torch_does() -> None:
    x = randn(1, 2, 4, 4)
    grid = torch.tensor([[[[torch.nan, 0.1], [0.1, torch.nan]]]])
    for padding in ("zeros", "border"):
        check(F.grid_sample, x, grid, "bilinear", padding, False)
    check(F.grid_sample, x, grid, "nearest", "zeros", False)


@pytest.mark.parametrize("corners", [False, True])
def test_affine_grid(corners: bool) -> None:
    check(F.affine_grid, randn(2, 2, 3), (2, 5, 6, 7), corners)
    check(F.affine_grid, randn(2, 2, 3), [2, 5, 1, 7], corners)
    check(F.affine_grid, randn(2, 3, 4), (2, 5, 3, 4, 5), corners)
    check(torch.affine_grid_generator, randn(2, 2, 3).double(), (2, 5, 6, 7), corners)


def test_text() -> None:
    x = randn(1, 2, 4, 4)
    text = check(F.interpolate, x, scale_factor=2.0)
    assert text == "v0.repeat(2, axis=-1).repeat(2, axis=-2)"
    text = check(F.pad, x, (1, 1, 2, 2))
    assert text == "np.pad(v0, ((0, 0), (0, 0), (2, 2), (1, 1)))"
    assert check(F.pad, x, (-1, 0, 0, -2)) == "v0[..., :-2, 1:]"
