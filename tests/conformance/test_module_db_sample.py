"""A fixed, quick part of the module_db run, in the ordinary test run."""

from __future__ import annotations

import pytest
import torch

from tests.conformance.compare import MismatchError, compare
from tests.conformance.module_db import MODULES, build, module_inputs
from tests.conformance.sample import check_sample

SAMPLED = (
    "nn.AdaptiveAvgPool2d",
    "nn.AvgPool2d",
    "nn.BatchNorm2d",
    "nn.Bilinear",
    "nn.Conv1d",
    "nn.Conv2d",
    "nn.ConvTranspose2d",
    "nn.CrossEntropyLoss",
    "nn.Embedding",
    "nn.GELU",
    "nn.GRU",
    "nn.GroupNorm",
    "nn.InstanceNorm1d",
    "nn.KLDivLoss",
    "nn.LSTM",
    "nn.LayerNorm",
    "nn.Linear",
    "nn.MaxPool2d",
    "nn.MultiheadAttention",
    "nn.PReLU",
    "nn.ReflectionPad2d",
    "nn.Softmax",
    "nn.TransformerEncoderLayer",
)


@pytest.mark.parametrize("name", SAMPLED)
def test_first_sample_agrees_with_torch(name: str) -> None:
    info = MODULES[name]
    given = module_inputs(info, training=True, dtype=torch.float32)[0]
    check_sample(build(info, given, training=True, dtype=torch.float32))


def test_a_difference_above_rounding_is_noticed() -> None:
    exact = torch.linspace(-1, 1, 7, dtype=torch.float64)
    low = exact.float()
    compare((low.numpy(),), (low,), (exact,))
    with pytest.raises(MismatchError, match="error"):
        compare((low.numpy() * 1.0001,), (low,), (exact,))


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        (torch.ones(3, dtype=torch.float64).numpy(), "dtype"),
        (torch.ones(3, 1).numpy(), "shape"),
        ((torch.ones(3).numpy(),) * 2, "2 outputs"),
        ({"b": torch.ones(3).numpy()}, "keys"),
    ],
)
def test_structure_and_types_must_be_equal(ours: object, message: str) -> None:
    low: object = torch.ones(3)
    high: object = torch.ones(3, dtype=torch.float64)
    if isinstance(ours, dict):
        low, high = {"a": low}, {"a": high}
    with pytest.raises(MismatchError, match=message):
        compare(ours, low, high)
