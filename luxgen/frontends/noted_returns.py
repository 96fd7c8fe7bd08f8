"""A look at the user's functions at the moment they return."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from luxgen.frontends import names

_GENERATORS = (random.Random, np.random.RandomState, np.random.Generator)


@contextmanager
def noted_returns(
    note: Callable[[FrameType], None], drawn: Callable[[], None]
) -> Iterator[None]:
    """Call `note` with the frame of every user's function that returns.

    Call `drawn` where Python's or NumPy's random generators draw.
    """

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            if isinstance(getattr(called, "__self__", None), _GENERATORS):
                drawn()
        elif event == "return" and names.is_user_code(frame.f_code.co_filename):
            note(frame)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)
