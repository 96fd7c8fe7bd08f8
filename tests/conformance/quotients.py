"""Gradients against central difference quotients, along random directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tests.conformance.compare import MismatchError

STEP = 1e-6
RELATIVE = 1e-5  # of the sum of absolute products of gradient and direction
ABSOLUTE = 1e-7  # of the objective's size: rounding divided by the step
DIRECTIONS = 2  # per leaf

Arrays = Mapping[str, np.ndarray]


class NoQuotientError(Exception):
    """The objective isn't finite near the point."""


def check_quotients(
    objective: Callable[[Arrays], float], at: Arrays, gradients: Arrays
) -> None:
    """Raise where <gradient, direction> isn't the objective's central quotient.

    Args:
        objective: a float of leaves by name; those it isn't given are as in `at`.
        at: the point, in float64 or complex128; `gradients` are torch's convention
            for complex leaves: the steepest ascent.
    """
    rng = np.random.default_rng(0)
    size = abs(objective({}))
    if not np.isfinite(size):
        raise NoQuotientError("the result isn't finite")
    for name, gradient in gradients.items():
        point = at[name]
        if gradient.shape != point.shape or gradient.dtype != point.dtype:
            is_, should = (f"{a.dtype} {a.shape}" for a in (gradient, point))
            raise MismatchError(f"{name}: {is_}, must be {should}")
        if not gradient.size:
            continue
        if not np.isfinite(gradient).all():
            raise NoQuotientError(f"{name}: the gradient isn't finite")
        for _ in range(DIRECTIONS):
            real, imaginary = rng.standard_normal((2, *point.shape))
            along = real + 1j * imaginary if np.iscomplexobj(point) else real
            ahead = objective({name: np.asarray(point + STEP * along)})
            behind = objective({name: np.asarray(point - STEP * along)})
            quotient = (ahead - behind) / (2 * STEP)
            products = (np.conj(gradient) * along).real
            found, gross = float(products.sum()), float(np.abs(products).sum())
            allowed = RELATIVE * gross + ABSOLUTE * (1 + size)
            if not np.isfinite(quotient):
                raise NoQuotientError(f"{name}: the result isn't finite nearby")
            if not abs(found - quotient) <= allowed:
                raise MismatchError(
                    f"{name}: {found:.6g} along a direction, the difference quotient "
                    f"is {quotient:.6g}"
                )
