"""Shape functions that NumPy has no single expression for."""

import math

import numpy as np

from luxgen.ops.types import Array


def flatten(x: Array, start_dim: int = 0, *, end_dim: int = -1) -> Array:
    """Merge the dims from start_dim on, or up to `end_dim`, also of an empty batch."""
    if end_dim == -1:
        return x.reshape(*x.shape[:start_dim], math.prod(x.shape[start_dim:]))
    end = end_dim % x.ndim + 1
    merged = math.prod(x.shape[start_dim:end])
    return x.reshape(*x.shape[:start_dim], merged, *x.shape[end:])


def unflatten(x: Array, dim: int, sizes: tuple[int, ...]) -> Array:
    """Split dim into `sizes`."""
    dim %= x.ndim
    return x.reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1 :])


def squeeze(x: Array, dim: int) -> Array:
    """Drop dim if its size is 1."""
    return x.squeeze(axis=dim) if x.shape[dim] == 1 else x


def split(x: Array, split_size: int, dim: int = 0) -> list[Array]:
    """Cut dim into pieces of split_size; the last may be smaller."""
    return np.split(x, range(split_size, x.shape[dim], split_size), axis=dim)


def chunk(x: Array, chunks: int, dim: int = 0) -> list[Array]:
    """Cut dim into at most `chunks` pieces of the same size but the last."""
    return split(x, -(-x.shape[dim] // chunks), dim)


def diag_embed(x: Array, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Array:
    """Matrices with the last dim of x on their diagonal `offset`, zero elsewhere."""
    k = np.arange(x.shape[-1])
    n = x.shape[-1] + abs(offset)
    y = np.zeros((*x.shape[:-1], n, n), x.dtype)
    y[..., k + max(-offset, 0), k + max(offset, 0)] = x
    return np.moveaxis(y, (-2, -1), (dim1, dim2))


def diagonal_scatter(
    x: Array, src: Array, *, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Array:
    """Copy x with src written to a diagonal."""
    y = np.array(x)
    view = np.moveaxis(y, (dim1, dim2), (-2, -1))
    k = np.arange(src.shape[-1])
    view[..., k + max(-offset, 0), k + max(offset, 0)] = src
    return y


def fill_diagonal(x: Array, fill_value: float) -> Array:
    """Copy a matrix x with one value on its diagonal."""
    y = np.array(x)
    k = np.arange(min(y.shape))
    y[k, k] = fill_value
    return y


def as_strided(
    x: Array, size: tuple[int, ...], stride: tuple[int, ...], storage_offset: int = 0
) -> Array:
    """Elements of x, row by row, at steps of `stride` along each dim."""
    place = np.full(size, storage_offset)
    for index, step in zip(np.indices(size, sparse=True), stride, strict=True):
        place += index * step
    y: Array = x.reshape(-1)[place]
    return y


def block_diag(*tensors: Array) -> Array:
    """Matrix with the tensors as blocks along its diagonal, zero elsewhere."""
    blocks = [np.atleast_2d(t) for t in tensors]
    rows, columns = np.sum([b.shape for b in blocks], axis=0)
    y = np.zeros((rows, columns), blocks[0].dtype)
    row = column = 0
    for block in blocks:
        height, width = block.shape
        y[row : row + height, column : column + width] = block
        row, column = row + height, column + width
    return y


def cartesian_prod(*tensors: Array) -> Array:
    """All tuples of one element of each tensor, as rows."""
    grids = np.meshgrid(*tensors, indexing="ij")
    return np.stack(grids, axis=-1).reshape(-1, len(tensors))


def combinations(x: Array, r: int = 2, *, with_replacement: bool = False) -> Array:
    """Combinations of r elements of x in order, as rows."""
    index = np.indices((len(x),) * r).reshape(r, -1)
    step = np.diff(index, axis=0)
    keep = (step >= 0) if with_replacement else (step > 0)
    y: Array = x[index[:, keep.all(axis=0)].T]
    return y
