"""Deep residual networks (He et al., 2015), in torchvision's form.

ResNet-18 to -152, with grouped and wide variants; the default is a narrow ResNet-18
for CIFAR-sized images.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def conv3x3(
    in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """3x3 convolution that keeps the size at stride 1."""
    return nn.Conv2d(
        in_planes,
        out_planes,
        kernel_size=3,
        stride=stride,
        padding=dilation,
        groups=groups,
        dilation=dilation,
        bias=False,
    )


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """1x1 convolution: a linear map of the channels."""
    return nn.Conv2d(in_planes, out_planes, kernel_size=1, stride=stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around an identity or projected shortcut."""

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
    ) -> None:
        super().__init__()
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock has neither groups nor another base width")
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions; the stride is in the 3x3 one (ResNet v1.5)."""

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
    ) -> None:
        super().__init__()
        width = planes * base_width // 64 * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride, groups)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    """Four stages of residual blocks; each stage after the first halves the size."""

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck] = BasicBlock,
        layers: Sequence[int] = (2, 2, 2, 2),
        width: int = 8,
        num_classes: int = 10,
        *,
        imagenet_stem: bool = False,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
    ) -> None:
        super().__init__()
        self.inplanes = width
        self.groups = groups
        self.base_width = width_per_group
        if imagenet_stem:
            self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        else:  # small images: no early halving, and no pooling before stage 1
            self.conv1 = conv3x3(3, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if imagenet_stem else None
        self.layer1 = self._make_layer(block, width, layers[0])
        self.layer2 = self._make_layer(block, 2 * width, layers[1], stride=2)
        self.layer3 = self._make_layer(block, 4 * width, layers[2], stride=2)
        self.layer4 = self._make_layer(block, 8 * width, layers[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width * block.expansion, num_classes)
        self._init_weights(zero_init_residual)

    def _init_weights(self, zero_init_residual: bool) -> None:
        """Kaiming normal convolutions; optionally each branch starts as zero."""
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.ones_(m.weight)
                nn.init.zeros_(m.bias)
        if zero_init_residual:
            for m in self.modules():
                if isinstance(m, BasicBlock):
                    nn.init.zeros_(m.bn2.weight)
                elif isinstance(m, Bottleneck):
                    nn.init.zeros_(m.bn3.weight)

    def _make_layer(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        planes: int,
        blocks: int,
        stride: int = 1,
    ) -> nn.Sequential:
        downsample = None
        if stride != 1 or self.inplanes != planes * block.expansion:
            downsample = nn.Sequential(
                conv1x1(self.inplanes, planes * block.expansion, stride),
                nn.BatchNorm2d(planes * block.expansion),
            )
        shape = {"groups": self.groups, "base_width": self.base_width}
        stage = [block(self.inplanes, planes, stride, downsample, **shape)]
        self.inplanes = planes * block.expansion
        for _ in range(1, blocks):
            stage.append(block(self.inplanes, planes, **shape))
        return nn.Sequential(*stage)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to logits (N, num_classes)."""
        x = self.relu(self.bn1(self.conv1(x)))
        if self.maxpool is not None:
            x = self.maxpool(x)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        x = torch.flatten(self.avgpool(x), 1)
        return self.fc(x)


def resnet18(num_classes: int = 1000) -> ResNet:
    """ResNet-18 for ImageNet."""
    return ResNet(BasicBlock, (2, 2, 2, 2), 64, num_classes, imagenet_stem=True)


def resnet34(num_classes: int = 1000) -> ResNet:
    """ResNet-34 for ImageNet."""
    return ResNet(BasicBlock, (3, 4, 6, 3), 64, num_classes, imagenet_stem=True)


def resnet50(num_classes: int = 1000) -> ResNet:
    """ResNet-50 for ImageNet."""
    return ResNet(Bottleneck, (3, 4, 6, 3), 64, num_classes, imagenet_stem=True)


def resnet101(num_classes: int = 1000) -> ResNet:
    """ResNet-101 for ImageNet."""
    return ResNet(Bottleneck, (3, 4, 23, 3), 64, num_classes, imagenet_stem=True)


def resnet152(num_classes: int = 1000) -> ResNet:
    """ResNet-152 for ImageNet."""
    return ResNet(Bottleneck, (3, 8, 36, 3), 64, num_classes, imagenet_stem=True)


def resnext50_32x4d(num_classes: int = 1000) -> ResNet:
    """ResNeXt-50 with 32 groups of width 4 (Xie et al., 2016)."""
    grouped = {"groups": 32, "width_per_group": 4}
    layers = (3, 4, 6, 3)
    return ResNet(Bottleneck, layers, 64, num_classes, imagenet_stem=True, **grouped)


def wide_resnet50_2(num_classes: int = 1000) -> ResNet:
    """ResNet-50 with blocks twice as wide inside (Zagoruyko and Komodakis, 2016)."""
    layers = (3, 4, 6, 3)
    wide = {"width_per_group": 128}
    return ResNet(Bottleneck, layers, 64, num_classes, imagenet_stem=True, **wide)


def example_inputs() -> tuple[Tensor]:
    """A batch of two CIFAR-sized images."""
    return (torch.randn(2, 3, 32, 32),)
