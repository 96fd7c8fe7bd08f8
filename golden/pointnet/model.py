"""PointNet (Qi et al., 2017) for classifying point clouds."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SharedMLP(nn.Sequential):
    """The same linear layer at every point, batch norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv1d(in_channels, out_channels, 1),
            nn.BatchNorm1d(out_channels),
            nn.ReLU(),
        )


class TNet(nn.Module):
    """Predict a k x k transformation of the points, near the identity at first."""

    def __init__(self, k: int, width: int) -> None:
        super().__init__()
        self.k = k
        self.mlp = nn.Sequential(
            SharedMLP(k, width), SharedMLP(width, 2 * width), SharedMLP(2 * width, 128)
        )
        self.fc1 = nn.Linear(128, 64, bias=False)
        self.bn1 = nn.BatchNorm1d(64)
        self.fc2 = nn.Linear(64, k * k)
        nn.init.normal_(self.fc2.weight, std=1e-3)
        nn.init.zeros_(self.fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mlp(x)
        x = torch.max(x, dim=2)[0]  # the most active point of each channel
        x = F.relu(self.bn1(self.fc1(x)))
        matrix = self.fc2(x).view(-1, self.k, self.k)
        return matrix + torch.eye(self.k, device=x.device)


class PointNet(nn.Module):
    """Transform the points, embed each, take the maximum and classify."""

    def __init__(self, num_classes: int = 10, width: int = 32) -> None:
        super().__init__()
        self.input_transform = TNet(3, width)
        self.mlp1 = SharedMLP(3, width)
        self.feature_transform = TNet(width, width)
        self.mlp2 = nn.Sequential(
            SharedMLP(width, 2 * width), SharedMLP(2 * width, 256)
        )
        self.classifier = nn.Sequential(
            nn.Linear(256, 128),
            nn.BatchNorm1d(128),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(128, num_classes),
        )

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Map points (N, P, 3) to log-probabilities and the feature transform."""
        x = points.transpose(1, 2)  # (N, 3, P)
        x = torch.bmm(self.input_transform(x), x)
        x = self.mlp1(x)
        transform = self.feature_transform(x)
        x = torch.bmm(transform, x)
        x = self.mlp2(x).amax(dim=2)
        return F.log_softmax(self.classifier(x), dim=1), transform


def example_inputs() -> tuple[Tensor]:
    """Two clouds of 40 points."""
    return (torch.randn(2, 40, 3),)
