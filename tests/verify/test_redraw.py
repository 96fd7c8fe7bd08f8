"""Gradients through random ops are verified with the numbers that the module drew."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import luxgen


class Noisy(nn.Module):
    """Zeros in, where a mask can't be told from the result; hard and soft choices."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.mask = nn.Dropout(0.3)
        self.channels = nn.Dropout1d(0.4)
        self.alpha = nn.AlphaDropout(0.2)
        self.features = nn.FeatureAlphaDropout(0.2)
        self.slopes = nn.RReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        h = self.mask(h - h) + self.slopes(h) + self.alpha(h)
        h = (
            h
            + self.channels(h[..., None])[..., 0]
            + self.features(h[..., None])[..., 0]
        )
        h = F.dropout(h, 0.2, self.training)
        return F.gumbel_softmax(h, hard=True) + F.gumbel_softmax(h, tau=0.5)


@pytest.mark.filterwarnings("ignore")
def test_gradients_through_draws_are_verified() -> None:
    torch.manual_seed(0)
    generated = luxgen.transpile(Noisy(), (torch.randn(5, 4),), grad=True)
    assert generated.verify().passed
