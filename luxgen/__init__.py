"""luxgen turns PyTorch models into standalone, readable, verified NumPy modules."""

from luxgen.errors import (
    InputError,
    LuxgenError,
    StaleError,
    UnsupportedError,
    VerificationError,
)

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "LuxgenError",
    "StaleError",
    "UnsupportedError",
    "VerificationError",
    "__version__",
]
