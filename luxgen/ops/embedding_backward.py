"""Gradients of table look-ups."""

import numpy as np

from luxgen.ops.types import Array


def embedding_backward(
    d: Array,
    x: Array,
    weight: Array,
    *,
    padding_idx: int | None = None,
    scale_grad_by_freq: bool = False,
) -> Array:
    """Add up d (..., dim) by the integers x (...) in zeros like weight (num, dim)."""
    if scale_grad_by_freq:  # each row by how often x has it
        count = np.bincount(x.ravel(), minlength=len(weight)).astype(d.dtype)
        d = d / count[x][..., None]
    y = np.zeros(weight.shape, d.dtype)
    columns = np.arange(weight.shape[1])
    np.add.at(y.ravel(), (x[..., None] * len(columns) + columns).ravel(), d.ravel())
    if padding_idx is not None:
        y[padding_idx] = 0
    return y


def bags_of(
    x: Array,
    weight: Array,
    offsets: Array | None = None,
    *,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Array, Array, Array]:
    """Where x.ravel() is in a bag, and there: its integer and its bag's number."""
    if offsets is None:
        bag = np.repeat(np.arange(len(x)), x.shape[1])
    else:
        ends = offsets[1:] if include_last_offset else np.append(offsets[1:], len(x))
        bag = np.repeat(np.arange(len(ends)), ends - offsets[: len(ends)])
    place = np.arange(len(bag))
    if padding_idx is not None:
        place = place[x.ravel()[: len(bag)] != padding_idx % len(weight)]
    return place, x.ravel()[place], bag[place]


def embedding_bag_backward(
    d: Array,
    x: Array,
    weight: Array,
    offsets: Array | None = None,
    per_sample_weights: Array | None = None,
    *,
    mode: str = "mean",
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Array:
    """Cotangent of weight, given that of the reduced bags (N, dim)."""
    place, index, bag = bags_of(
        x,
        weight,
        offsets,
        include_last_offset=include_last_offset,
        padding_idx=padding_idx,
    )
    if mode == "max":
        return bag_max_backward(d, index, weight, bag)
    if mode == "mean":
        d = d / np.maximum(np.bincount(bag, minlength=len(d)), 1)[:, None].astype(
            d.dtype
        )
    rows = d[bag]
    if per_sample_weights is not None:
        rows *= per_sample_weights.reshape(-1, 1)[place]
    return embedding_backward(rows, index, weight)


def bag_max_backward(d: Array, index: Array, weight: Array, bag: Array) -> Array:
    """Give d (N, dim) to the first largest of weight[index] in each bag."""
    y: Array = np.zeros(weight.shape, d.dtype)
    rows: Array = weight[index]
    filled, start, size = np.unique(bag, return_index=True, return_counts=True)
    largest = np.repeat(np.maximum.reduceat(rows, start, axis=0), size, axis=0)
    place = np.where(rows == largest, np.arange(len(rows))[:, None], len(rows) - 1)
    first = np.minimum.reduceat(place, start, axis=0)
    np.add.at(y, (index[first], np.arange(y.shape[1])), d[filled])
    return y


def embedding_bag_samples_backward(
    d: Array,
    x: Array,
    weight: Array,
    offsets: Array | None,
    per_sample_weights: Array,
    *,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Array:
    """Cotangent of per_sample_weights, given that of the summed bags (N, dim)."""
    place, index, bag = bags_of(
        x,
        weight,
        offsets,
        include_last_offset=include_last_offset,
        padding_idx=padding_idx,
    )
    y = np.zeros(per_sample_weights.size, d.dtype)
    y[place] = (d[bag] * weight[index]).sum(axis=-1)
    return y.reshape(per_sample_weights.shape)
