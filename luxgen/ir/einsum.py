"""What an einsum equation says."""

from __future__ import annotations

import string


def explicit(equation: str, ndims: list[int]) -> tuple[list[str], str]:
    """Terms and output without blanks and ellipses, one letter per dim."""
    left, arrow, output = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    free = [c for c in string.ascii_letters if c not in equation]
    shared = [n - len(t.replace("...", "")) for t, n in zip(terms, ndims, strict=True)]
    dots = "".join(free[: max([0, *shared])])
    pairs = zip(terms, shared, strict=True)
    full = [t.replace("...", dots[len(dots) - n :]) for t, n in pairs]
    if not arrow:
        every = "".join(t.replace("...", "") for t in terms)
        output = "..." * ("..." in left) + "".join(
            sorted(s for s in set(every) if every.count(s) == 1)
        )
    return full, output.replace("...", dots)
