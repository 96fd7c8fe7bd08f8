"""torch.einsum by batched matrix products."""

import math

import numpy as np

from luxgen.ops.types import Array


def einsum(equation: str, *operands: Array) -> Array:
    """Contract the operands from left to right; np.einsum would not use BLAS.

    `equation` is explicit: one letter per dim, "->", no ellipsis, no blanks.
    """
    terms, output = equation.split("->")
    names = terms.split(",")
    x, dims = operands[0], names[0]
    for k in range(1, len(operands)):
        later = output + "".join(names[k + 1 :])
        x, dims = contract(x, dims, operands[k], names[k], later)
    y: Array = np.einsum(f"{dims}->{output}", x)
    return y


def contract(x: Array, xs: str, y: Array, ys: str, later: str) -> tuple[Array, str]:
    """Sum x times y over the labelled dims that aren't needed later."""
    kept = [s for s in dict.fromkeys(xs + ys) if s in later]
    batch = "".join(s for s in kept if s in xs and s in ys)
    left = "".join(s for s in kept if s not in ys)
    right = "".join(s for s in kept if s not in xs)
    inner = "".join(s for s in dict.fromkeys(xs) if s in ys and s not in later)
    x = np.einsum(f"{xs}->{batch}{left}{inner}", x)
    y = np.einsum(f"{ys}->{batch}{inner}{right}", y)
    b, i, j = len(batch), len(batch + left), len(batch + inner)
    shape = x.shape[:i] + y.shape[j:]
    rows = x.reshape(*x.shape[:b], math.prod(x.shape[b:i]), math.prod(x.shape[i:]))
    columns = y.reshape(*y.shape[:b], math.prod(y.shape[b:j]), math.prod(y.shape[j:]))
    return (rows @ columns).reshape(shape), batch + left + right
