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
    from luxgen.interop.adaptors import FromTorchAdaptor, adapt
    from luxgen.interop.freeze import FrozenLayer, freeze, unfreeze
    from luxgen.interop.layer import (
        Layer,
        outputsize,
        parameterlength,
        setup,
        statelength,
    )
    from luxgen.interop.losses import LOSSES
    from luxgen.interop.modes import testmode, trainmode, update_state
    from luxgen.interop.numpy_layer import NumpyLayer
    from luxgen.interop.optimisers import SGD, Adam, AdamW
    from luxgen.interop.share import share_parameters
    from luxgen.interop.stateful import StatefulLayer
    from luxgen.interop.torch_layer import TorchLayer
    from luxgen.interop.training import (
        TrainState,
        apply_gradients,
        compute_gradients,
        single_train_step,
    )

__version__ = "0.1.0"

__all__ = [
    "Adam",
    "AdamW",
    "FromTorchAdaptor",
    "FrozenLayer",
    "Generated",
    "InputError",
    "LOSSES",
    "Layer",
    "LuxgenError",
    "NumpyLayer",
    "SGD",
    "StaleError",
    "StatefulLayer",
    "TorchLayer",
    "TrainState",
    "UnsupportedError",
    "VerificationError",
    "__version__",
    "adapt",
    "apply_gradients",
    "compute_gradients",
    "freeze",
    "outputsize",
    "parameterlength",
    "setup",
    "share_parameters",
    "single_train_step",
    "statelength",
    "testmode",
    "trainmode",
    "transpile",
    "unfreeze",
    "update_state",
]

# Loaded when first asked for: some import torch, which takes over a second.
_LAZY = {
    "luxgen.api": ("Generated", "transpile"),
    "luxgen.interop.adaptors": ("FromTorchAdaptor", "adapt"),
    "luxgen.interop.freeze": ("FrozenLayer", "freeze", "unfreeze"),
    "luxgen.interop.layer": (
        "Layer",
        "outputsize",
        "parameterlength",
        "setup",
        "statelength",
    ),
    "luxgen.interop.losses": ("LOSSES",),
    "luxgen.interop.modes": ("testmode", "trainmode", "update_state"),
    "luxgen.interop.numpy_layer": ("NumpyLayer",),
    "luxgen.interop.optimisers": ("SGD", "Adam", "AdamW"),
    "luxgen.interop.share": ("share_parameters",),
    "luxgen.interop.stateful": ("StatefulLayer",),
    "luxgen.interop.torch_layer": ("TorchLayer",),
    "luxgen.interop.training": (
        "TrainState",
        "apply_gradients",
        "compute_gradients",
        "single_train_step",
    ),
}
_HOME = {name: module for module, names in _LAZY.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'luxgen' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
