"""A small convnet for scikit-learn's digits: 8x8 grey images of ten classes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DigitsNet(nn.Module):
    """Two convolutions with batch norm and one linear layer."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(32)
        self.fc = nn.Linear(32 * 2 * 2, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, 1, 8, 8) to what `fc` gets: (N, 128)."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        return torch.flatten(x, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 1, 8, 8) to logits (N, num_classes)."""
        return self.fc(self.features(x))


def example_inputs() -> tuple[Tensor]:
    """Two images."""
    return (torch.rand(2, 1, 8, 8),)
