"""Least squares."""

import numpy as np

from luxgen.ops.types import Array


def lstsq(
    x: Array, b: Array, *, rcond: float | None = None, driver: str = "gelsy"
) -> tuple[Array, Array, Array, Array]:
    """The solution of least norm, residuals, ranks and singular values.

    As torch, the last three are empty where the driver or the shape gives none.
    """
    rows, columns = x.shape[-2:]
    cut = max(rows, columns) * np.finfo(x.dtype).eps if rcond is None else rcond
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    kept = s > cut * s.max(axis=-1, keepdims=True, initial=0)
    if driver == "gels":  # of full rank
        kept = np.ones_like(kept)
    inverse = np.where(kept, 1 / np.where(kept, s, np.ones_like(s)), np.zeros_like(s))
    along = inverse[..., None] * (u.swapaxes(-2, -1).conj() @ b)
    solution: Array = vh.swapaxes(-2, -1).conj() @ along
    residuals = np.zeros(0, s.dtype)
    if rows > columns and driver != "gelsy" and kept.all():
        residuals = np.square(np.abs(x @ solution - b)).sum(axis=-2)
    rank = np.zeros(0, np.int64) if driver == "gels" else np.asarray(kept.sum(axis=-1))
    singular = s if driver in ("gelsd", "gelss") else np.zeros(0, s.dtype)
    return solution, residuals, rank, singular
