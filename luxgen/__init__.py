"""luxgen turns PyTorch models into standalone, readable, verified NumPy modules."""

import importlib
from typing import TYPE_CHECKING

from luxgen.errors import (
    InputError,
    LuxgenError,
    StaleError,
    UnsupportedError,
    VerificationError,
)

if TYPE_CHECKING:
    from luxgen.api import Generated, transpile

__version__ = "0.1.0"

__all__ = [
    "Generated",
    "InputError",
    "LuxgenError",
    "StaleError",
    "UnsupportedError",
    "VerificationError",
    "__version__",
    "transpile",
]

# Loaded when first asked for: these import torch, which takes over a second.
_LAZY = {
    "Generated": "luxgen.api",
    "transpile": "luxgen.api",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'luxgen' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
