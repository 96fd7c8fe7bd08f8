"""A look at the user's functions at the moment they return."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from luxgen.frontends import names


@contextmanager
def noted_returns(note: Callable[[FrameType], None]) -> Iterator[None]:
    """Call `note` with the frame of every user's function that returns."""

    def profile(frame: FrameType, event: str, _arg: Any) -> None:
        if event == "return" and names.is_user_code(frame.f_code.co_filename):
            note(frame)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)
