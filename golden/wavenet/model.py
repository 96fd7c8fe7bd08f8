"""WaveNet (van den Oord et al., 2016): gated, dilated, causal convolutions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CausalConv1d(nn.Conv1d):
    """Convolution whose output at time t depends on inputs up to t only."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation)
        self.left_padding = (kernel_size - 1) * dilation

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (self.left_padding, 0)))


class ResidualBlock(nn.Module):
    """Gated activation with a residual and a skip output."""

    def __init__(
        self,
        residual_channels: int,
        skip_channels: int,
        kernel_size: int,
        dilation: int,
    ) -> None:
        super().__init__()
        self.conv = CausalConv1d(
            residual_channels, 2 * residual_channels, kernel_size, dilation
        )
        self.residual = nn.Conv1d(residual_channels, residual_channels, 1)
        self.skip = nn.Conv1d(residual_channels, skip_channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        filtered, gate = self.conv(x).chunk(2, dim=1)
        z = torch.tanh(filtered) * torch.sigmoid(gate)
        return x + self.residual(z), self.skip(z)


class WaveNet(nn.Module):
    """Stacks of blocks with dilations 1, 2, 4, ...; the skips are summed."""

    def __init__(
        self,
        num_classes: int = 256,
        residual_channels: int = 32,
        skip_channels: int = 64,
        kernel_size: int = 2,
        num_stacks: int = 2,
        layers_per_stack: int = 5,
    ) -> None:
        super().__init__()
        self.input = CausalConv1d(1, residual_channels, kernel_size)
        self.blocks = nn.ModuleList(
            ResidualBlock(residual_channels, skip_channels, kernel_size, 2**i)
            for _ in range(num_stacks)
            for i in range(layers_per_stack)
        )
        self.head = nn.Sequential(
            nn.ReLU(),
            nn.Conv1d(skip_channels, skip_channels, 1),
            nn.ReLU(),
            nn.Conv1d(skip_channels, num_classes, 1),
        )

    def forward(self, waveform: Tensor) -> Tensor:
        """Map a waveform (N, 1, T) to logits of its mu-law classes (N, classes, T)."""
        x = self.input(waveform)
        skips = 0
        for block in self.blocks:
            x, skip = block(x)
            skips = skips + skip
        return self.head(skips)


def example_inputs() -> tuple[Tensor]:
    """Two short waveforms."""
    return (torch.rand(2, 1, 80) * 2 - 1,)
