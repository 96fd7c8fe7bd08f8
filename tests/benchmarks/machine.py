"""What a benchmark ran on."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import torch


def machine() -> str:
    """The processor, and the versions of Python, NumPy and torch."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [x for x in info.read_text().splitlines() if "model name" in x]
        cpu = models[0].split(":", 1)[1].strip() if models else cpu
    return (
        f"{cpu}; Python {platform.python_version()}, NumPy {np.__version__}, "
        f"torch {torch.__version__}"
    )
