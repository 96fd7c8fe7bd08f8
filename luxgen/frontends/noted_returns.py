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

_NO_DRAWS = ("seed", "getstate", "setstate", "get_state", "set_state")


@contextmanager
def noted_returns(
    note: Callable[[FrameType], None], drawn: Callable[[], None]
) -> Iterator[None]:
    """Call `note` with the frame of every user's function that returns.

    Call `drawn` where Python's or NumPy's random generators draw.
    """

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            if _draws(called) and not _importing(frame):
                drawn()
        elif event == "return" and names.is_user_code(frame.f_code.co_filename):
            note(frame)

    before = sys.getprofile()
    functions = {n: f for n, f in vars(np.random).items() if _draws(f)}
    for name, function in functions.items():  # NumPy's aren't seen by a profiler
        setattr(np.random, name, _noted(function, drawn))
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)
        vars(np.random).update(functions)


def _noted(function: Callable[..., Any], drawn: Callable[[], None]) -> Any:
    def noted(*args: Any, **kwargs: Any) -> Any:
        drawn()
        return function(*args, **kwargs)

    return noted


def _draws(called: Any) -> bool:
    generator = isinstance(getattr(called, "__self__", None), _GENERATORS)
    return generator and called.__name__ not in _NO_DRAWS


def _importing(frame: FrameType | None) -> bool:
    """A module that is imported in forward may make generators of its own."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
