"""What a family's builder returns, and how packages and inputs are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

IMAGE = 64  # height and width where the model takes any
VOCABULARY = 99
LENGTH = 12  # tokens in a sequence


@dataclass
class Built:
    """A model with random weights, and the arguments of one forward call."""

    model: nn.Module
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


Builder = Callable[[], Built]


_KEPT: list[torch.library.Library] = []


def package(name: str) -> Any:
    """An optional package (untyped here: none of them is in the project's venv).

    Many import torchvision where it is installed. Without its CUDA library it
    imports once the schemas that it registers for are defined.
    """
    if not _KEPT:
        library = torch.library.Library("torchvision", "DEF")
        box = "Tensor dets, Tensor scores, float iou_threshold"
        library.define(f"nms({box}) -> Tensor")
        library.define(f"qnms({box}) -> Tensor")
        _KEPT.append(library)
    return import_module(name)


def images(size: int = IMAGE, *, channels: int = 3, batch: int = 2) -> Tensor:
    """Images (batch, channels, size, size)."""
    return torch.randn(batch, channels, size, size)


def tokens(length: int = LENGTH, *, vocabulary: int = VOCABULARY) -> Tensor:
    """Token ids (2, length); 0 to 2 are left out, being padding and the like."""
    return torch.randint(3, vocabulary, (2, length))
