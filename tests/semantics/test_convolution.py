"""Convolution, pooling, resizing end to end: sizes, padding, indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.semantics.agree import agree


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def x(*shape: int) -> Tensor:
    return torch.randn(*shape)


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv1d": (lambda: nn.Conv1d(2, 3, 3, stride=2, padding=1), (2, 2, 8)),
    "conv2d no bias": (lambda: nn.Conv2d(2, 3, (2, 3), bias=False), (2, 2, 5, 6)),
    "same": (lambda: nn.Conv2d(2, 3, (4, 3), padding="same"), (2, 2, 5, 6)),
    "same dilated": (lambda: nn.Conv1d(2, 3, 4, padding="same", dilation=2), (2, 2, 9)),
    "valid": (lambda: nn.Conv2d(2, 3, 3, padding="valid"), (2, 2, 5, 6)),
    "circular": (lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (2, 2, 5, 6)),
    "reflect": (lambda: nn.Conv1d(2, 3, 4, padding="same", padding_mode="reflect"), (2, 2, 8)),
    "replicate": (lambda: nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode="replicate"), (2, 2, 5, 6)),
    "grouped": (lambda: nn.Conv2d(4, 6, 3, groups=2, dilation=2), (2, 4, 7, 7)),
    "depthwise": (lambda: nn.Conv2d(4, 8, 3, groups=4, stride=2, padding=1), (2, 4, 7, 7)),
    "conv3d": (lambda: nn.Conv3d(2, 3, 2, padding=(0, 1, 1)), (2, 2, 3, 4, 4)),
    "transposed": (lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1), (2, 2, 4, 5)),
    "transposed 1d": (lambda: nn.ConvTranspose1d(4, 4, 4, stride=3, groups=2, dilation=2), (2, 4, 5)),
    "max pool": (lambda: nn.MaxPool2d(3, 2, 1), (2, 2, 7, 8)),
    "max pool ceil": (lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True), (2, 2, 6, 6)),
    "max pool dilated": (lambda: nn.MaxPool1d(2, 2, dilation=2), (2, 2, 9)),
    "max pool indices": (lambda: nn.MaxPool2d(2, return_indices=True), (2, 2, 5, 6)),
    "avg pool": (lambda: nn.AvgPool2d(3, 2, 1), (2, 2, 7, 8)),
    "avg pool ceil": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), (2, 2, 6, 6)),
    "avg pool ceil counted": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), (2, 2, 6, 6)),
    "avg pool divisor": (lambda: nn.AvgPool2d(2, divisor_override=3), (2, 2, 6, 6)),
    "adaptive avg": (lambda: nn.AdaptiveAvgPool2d((3, None)), (2, 2, 7, 5)),
    "adaptive max": (lambda: nn.AdaptiveMaxPool1d(3, return_indices=True), (2, 2, 7)),
    "lp pool": (lambda: nn.LPPool2d(2, 3, stride=2), (2, 2, 7, 7)),
    "nearest": (lambda: nn.Upsample(scale_factor=2), (2, 2, 3, 4)),
    "nearest exact": (lambda: nn.Upsample(size=(5, 7), mode="nearest-exact"), (2, 2, 3, 4)),
    "bilinear": (lambda: nn.Upsample(scale_factor=1.7, mode="bilinear"), (2, 2, 5, 6)),
    "aligned": (lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), (2, 2, 3, 4)),
    "recomputed": (
        lambda: nn.Upsample(scale_factor=1.7, mode="bilinear", recompute_scale_factor=True), (2, 2, 5, 6)),
    "bicubic": (lambda: nn.Upsample(size=(7, 5), mode="bicubic"), (2, 2, 4, 6)),
    "trilinear": (lambda: nn.Upsample(scale_factor=2, mode="trilinear"), (1, 2, 2, 3, 3)),
    "linear": (lambda: nn.Upsample(scale_factor=3, mode="linear", align_corners=True), (2, 2, 4)),
    "shuffle": (lambda: nn.PixelShuffle(2), (2, 8, 3, 4)),
    "unshuffle": (lambda: nn.PixelUnshuffle(2), (2, 2, 4, 6)),
    "channels": (lambda: nn.ChannelShuffle(2), (2, 4, 3, 3)),
    "unfold": (lambda: nn.Unfold(3, padding=1, stride=2), (2, 2, 5, 6)),
    "fold": (lambda: nn.Fold((5, 6), 3, padding=1, stride=2), (2, 18, 9)),
    "zero pad": (lambda: nn.ZeroPad2d((1, 2, 0, 1)), (2, 2, 3, 4)),
    "reflection pad": (lambda: nn.ReflectionPad2d(2), (2, 2, 4, 5)),
    "negative pad": (lambda: nn.ConstantPad1d((-1, 2), 3.5), (2, 2, 5)),
    "circular pad": (lambda: nn.CircularPad2d((1, 2, 1, 0)), (2, 2, 4, 5)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    make, shape = LAYERS[name]
    agree(nn.Sequential(make()), x(*shape), batches=(3,), modes=("eval",))


class Unpools(nn.Module):
    """Indices of one layer used by another, repeated ones among them."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(3, 2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        y, indices = self.pool(x)
        return self.unpool(y, indices, output_size=x.size())


def test_unpool() -> None:
    agree(Unpools(), x(2, 2, 7, 7), batches=(3,), modes=("eval",))


class Samples(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    def forward(self, x: Tensor, theta: Tensor) -> Tensor:
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid * 1.4, **self.options)


SAMPLES: list[dict[str, Any]] = [
    {"align_corners": False},
    {"mode": "nearest", "padding_mode": "border", "align_corners": True},
    {"mode": "bicubic", "padding_mode": "reflection", "align_corners": False},
]


@pytest.mark.parametrize("options", SAMPLES)
def test_grid_sample(options: dict[str, Any]) -> None:
    agree(
        Samples(**options),
        x(2, 2, 5, 6),
        x(2, 2, 3) * 0.5,
        batches=(3,),
        modes=("eval",),
    )


class Resizes(nn.Module):
    """Sizes of one tensor given to another, as decoders do."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Conv2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        low = self.down(x)
        y = F.interpolate(
            self.up(low), size=x.shape[-2:], mode="bilinear", align_corners=False
        )
        crop = F.interpolate(low, scale_factor=2)[..., : x.shape[2], : x.shape[3]]
        pooled = F.adaptive_avg_pool2d(x, 1).flatten(1)[:, :, None, None]
        small = F.interpolate(x, size=(3, 4), mode="bilinear", antialias=True)
        return torch.cat([y, crop, x * pooled], 1) + F.avg_pool2d(small, (3, 4)).mean(
            1, keepdim=True
        )


def test_resizing_to_another_size() -> None:
    agree(Resizes(), x(2, 2, 7, 9), modes=("eval",), others=((x(3, 2, 10, 8),),))


class OwnWeights(nn.Module):
    """Convolutions by weights made in forward: modulated, fixed, one per row."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 2, 3, 3))
        self.register_buffer(
            "blur",
            torch.outer(torch.tensor([1.0, 2, 1]), torch.tensor([1.0, 2, 1])) / 16,
        )

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        B, C, H, W = x.shape
        w = self.weight[None] * style[:, None, :, None, None]
        w = w * (w.pow(2).sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        y = F.conv2d(
            x.reshape(1, B * C, H, W), w.reshape(B * 3, C, 3, 3), padding=1, groups=B
        )
        blurred = F.conv2d(x, self.blur.expand(C, 1, 3, 3), padding=1, groups=C)
        return torch.cat([y.reshape(B, 3, H, W), blurred], 1)


def test_own_weights() -> None:
    agree(OwnWeights(), x(2, 2, 5, 5), x(2, 2), modes=("eval",))


class Separable(nn.Module):
    """Blocks with stride, expansion and a shortcut that not all have."""

    def __init__(self, n: int, m: int, stride: int) -> None:
        super().__init__()
        self.deep = nn.Conv2d(n, n, 3, stride, 1, groups=n, bias=False)
        self.wide, self.norm = nn.Conv2d(n, m, 1), nn.BatchNorm2d(m)
        self.skip = nn.Conv2d(n, m, 1, stride) if n != m or stride != 1 else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.norm(self.wide(self.deep(x))))
        return y + (x if self.skip is None else self.skip(x))


def test_blocks() -> None:
    model = nn.Sequential(
        Separable(2, 4, 2), Separable(4, 4, 1), Separable(4, 4, 1), Separable(4, 2, 2)
    )
    agree(model, x(2, 2, 9, 9), batches=(3,), others=((x(2, 2, 12, 9),),))


def test_unbatched() -> None:
    agree(
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2)),
        x(2, 6, 6),
        batches=(),
        modes=("eval",),
    )


def test_empty_batch() -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 2)
    )
    agree(model, x(2, 2, 6, 6), batches=(0, 1), modes=("eval",))
