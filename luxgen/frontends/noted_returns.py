"""A look at the user's functions at the moment they return."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
import torch

from luxgen.frontends import names

_GENERATORS = (random.Random, np.random.RandomState, np.random.Generator)

_NO_DRAWS = ("seed", "getstate", "setstate", "get_state", "set_state")
_DRAWN = (
    "a random number that isn't torch's, frozen to this run's",
    "draw it with torch, as torch.rand(())",
)
_SEEDED = (
    "torch's random stream is set here: the same numbers at every call",
    "draw them once, in __init__, and register them as a buffer",
)


@contextmanager
def noted_returns(
    note: Callable[[FrameType], None], refuse: Callable[[str, str], None]
) -> Iterator[None]:
    """Call `note` with the frame of every user's function that returns.

    Call `refuse` where Python's or NumPy's generators draw or torch's are seeded.
    """

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            if _draws(called) and not _importing(frame):
                refuse(*_DRAWN)
            elif _seeds(called):
                refuse(*_SEEDED)
        elif event == "return" and names.is_user_code(frame.f_code.co_filename):
            note(frame)

    before = sys.getprofile()
    functions = {n: f for n, f in vars(np.random).items() if _draws(f)}
    for name, function in functions.items():  # NumPy's aren't seen by a profiler
        setattr(np.random, name, _noted(function, refuse))
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)
        vars(np.random).update(functions)


def _noted(function: Callable[..., Any], refuse: Callable[[str, str], None]) -> Any:
    def noted(*args: Any, **kwargs: Any) -> Any:
        refuse(*_DRAWN)
        return function(*args, **kwargs)

    return noted


def _draws(called: Any) -> bool:
    generator = isinstance(getattr(called, "__self__", None), _GENERATORS)
    return generator and called.__name__ not in _NO_DRAWS


def _seeds(called: Any) -> bool:
    generator = isinstance(getattr(called, "__self__", None), torch.Generator)
    return generator and called.__name__ in ("manual_seed", "seed", "set_state")


def _importing(frame: FrameType | None) -> bool:
    """A module that is imported in forward may make generators of its own."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
