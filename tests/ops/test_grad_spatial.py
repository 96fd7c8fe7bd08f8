"""VJP rows of padding, sliding windows, shuffles and sampled grids against autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tests.ops.gradcheck import check_vjp, t
from tests.ops.test_resize import BLOCKS, PADS

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("pad", [*PADS, (1, 2, 3, 0), (-1, 2, 1, -2)], ids=str)
def test_pad(mode: str, pad: tuple[int, ...]) -> None:
    x = t(2, 3, 5, 6) if len(pad) == 4 else t(3, 5, 6)
    check_vjp(F.pad, x, pad, mode=mode)


def test_pad_forms() -> None:
    check_vjp(F.pad, t(2, 3, 5, 6), [1, 2, 0, 3, 1, 0, 2, 2], value=-1.5)
    check_vjp(F.pad, t(2, 3, 5, 6), (1, -2, 0, 3), value=torch.inf)
    check_vjp(F.pad, t(0, 3, 5, 6), (1, 2))
    check_vjp(F.pad, t(5), (2, 1))
    for mode in ("reflect", "replicate", "circular"):
        check_vjp(F.pad, t(1, 2, 3, 5, 6), (4, 2, 3, 0, 1, 1), mode=mode)
    nn: Any = torch._C._nn
    check_vjp(torch.constant_pad_nd, t(2, 3, 5, 6), (1, -2), 3.0)
    check_vjp(nn.reflection_pad2d, t(2, 3, 5, 6), (1, 2, 3, 0))
    check_vjp(nn.replication_pad1d, t(3, 5, 6), (1, 2))


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_pixel_shuffle(factor: int) -> None:
    check_vjp(F.pixel_shuffle, t(2, 4 * factor**2, 5, 6), factor)
    check_vjp(F.pixel_shuffle, t(4 * factor**2, 5, 6), factor)
    check_vjp(F.pixel_unshuffle, t(2, 3, 5 * factor, 6 * factor), factor)


def test_channel_shuffle() -> None:
    for shape in ((2, 6, 4), (2, 6, 4, 5), (0, 6, 4, 5)):
        check_vjp(F.channel_shuffle, t(*shape), 3)


@pytest.mark.parametrize("options", BLOCKS, ids=str)
def test_unfold_and_fold(options: dict[str, Any]) -> None:
    columns = F.unfold(torch.randn(2, 3, 8, 9), **options).requires_grad_()
    pairs = {"kernel_size": 1, "dilation": 1, "padding": 0, "stride": 1} | options
    lists = [v if isinstance(v, (tuple, list)) else (v, v) for v in pairs.values()]
    check_vjp(torch._C._nn.im2col, t(2, 3, 8, 9), *lists)
    check_vjp(torch._C._nn.im2col, t(3, 8, 9), *lists)
    check_vjp(torch._C._nn.col2im, columns, (8, 9), *lists)
    check_vjp(F.unfold, t(2, 3, 8, 9), **options)
    check_vjp(F.fold, columns, (8, 9), **options)
    check_vjp(F.fold, columns[0].detach().requires_grad_(), (8, 9), **options)


def test_unfold_of_one_dim() -> None:
    check_vjp(torch.Tensor.unfold, t(3, 11, 2), 1, 4, 3)
    check_vjp(torch.Tensor.unfold, t(3, 11), -1, 2, 1)
    check_vjp(torch.Tensor.unfold, t(3, 11), 0, 1, 5)
    check_vjp(torch.Tensor.unfold, torch.tensor(1.5, requires_grad=True), 0, 1, 1)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("corners", [False, True])
def test_grid_sample(mode: str, padding: str, corners: bool) -> None:
    grid = (torch.randn(2, 6, 7, 2) * 1.5).requires_grad_()
    check_vjp(F.grid_sample, t(2, 3, 8, 9), grid, mode, padding, corners)
    check_vjp(F.grid_sample, t(2, 3, 1, 9), grid, mode, padding, corners)
    if mode != "bicubic":
        grid = (torch.randn(2, 4, 3, 5, 3) * 1.5).requires_grad_()
        check_vjp(F.grid_sample, t(2, 3, 4, 5, 6), grid, mode, padding, corners)


def test_grid_points_on_and_beyond_the_edges() -> None:
    line = torch.tensor([-1.0, 1.0, -0.75, 0.25, 0.0, 1e20, -1e20, 3.0])
    grid = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1)[None]
    grid.requires_grad_()
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border"):
            check_vjp(F.grid_sample, t(1, 2, 4, 4), grid, mode, padding, True)
    check_vjp(torch.grid_sampler, t(1, 2, 4, 4), grid, 1, 1, False)
    inner = grid[:, :4, :4].detach().requires_grad_()
    check_vjp(torch.grid_sampler_2d, t(1, 2, 4, 4), inner, 2, 2, True)
    check_vjp(torch.grid_sampler_3d, t(1, 1, 2, 4, 4), t(1, 2, 2, 2, 3), 0, 2, True)


@pytest.mark.parametrize("corners", [False, True])
def test_affine_grid(corners: bool) -> None:
    check_vjp(F.affine_grid, t(2, 2, 3), (2, 5, 6, 7), corners)
    check_vjp(F.affine_grid, t(2, 2, 3), [2, 5, 1, 7], corners)
    check_vjp(F.affine_grid, t(2, 3, 4), (2, 5, 3, 4, 5), corners)
    check_vjp(torch.affine_grid_generator, t(2, 2, 3), (2, 5, 6, 7), corners)


def test_text() -> None:
    text = check_vjp(F.pad, t(2, 3, 5, 6), (1, 1, 2, 2))
    assert text.splitlines()[-1] == "v0[..., 2:-2, 1:-1]"
