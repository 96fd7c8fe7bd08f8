"""Where an op came from: the user's frame, its line and its local names."""

from __future__ import annotations

import os
import sys
import sysconfig
from types import FrameType

import torch

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SKIP = (
    os.path.dirname(torch.__file__) + os.sep,
    _OURS + os.sep,
    "<frozen",
    "<string>",
)
_STANDARD = sysconfig.get_path("stdlib") + os.sep


def is_user_code(filename: str) -> bool:
    """Neither torch's, luxgen's nor the standard library's."""
    if filename.startswith(_STANDARD) and "site-packages" not in filename:
        return False
    return not filename.startswith(_SKIP)


def user_frame() -> FrameType | None:
    """The innermost frame that is neither torch's nor luxgen's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_user_code(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def calling_frame() -> FrameType | None:
    """The innermost frame that isn't luxgen's: torch's own code counts."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_OURS + os.sep):
        frame = frame.f_back
    return frame


def line_of(frame: FrameType | None) -> tuple[str, int]:
    return ("", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)
