"""Gradients of GRU nets of several layers or both directions.

What forward saves and what the way back gets is that of `recurrent_backward`, layer
after layer, and in each layer first the forward direction's, then the backward's.
"""

from typing import Any

import numpy as np

from luxgen.ops.dropout import DropoutState
from luxgen.ops.dropout_backward import dropout_backward, dropout_saved
from luxgen.ops.recurrent_backward import gru_backward, gru_saved
from luxgen.ops.types import Array


def bidirectional_gru_saved(
    x: Array,
    ps: tuple[Array, ...],
    hx: Array | None = None,
    *,
    bias: bool = True,
    batch_first: bool = False,
) -> tuple[tuple[Array, Array], Any]:
    """Run `bidirectional_gru`; also what each direction saves."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    half = len(ps) // 2
    start = None if hx is None else hx[:1]
    other_start = None if hx is None else hx[1:]
    (y, h), saved = gru_saved(x, ps[:half], start, bias=bias)
    (z, h_back), saved_back = gru_saved(x[::-1], ps[half:], other_start, bias=bias)
    y = np.concatenate([y, z[::-1]], axis=-1)
    if batch_first and y.ndim == 3:
        y = y.swapaxes(0, 1)
    return (y, np.concatenate([h, h_back])), (saved, saved_back)


def bidirectional_gru_backward(
    d: Array,
    saved: Any,
    ps: tuple[Array, ...],
    d_h: Array | None = None,
    *,
    bias: bool = True,
    batch_first: bool = False,
) -> tuple[Array, Array, tuple[Array, ...]]:
    """Cotangents of x, of the first state, and of ps."""
    if batch_first and d.ndim == 3:
        d = d.swapaxes(0, 1)
    half, size = len(ps) // 2, d.shape[-1] // 2
    d_x, dh, d_ps = gru_backward(
        d[..., :size],
        saved[0],
        ps[:half],
        None if d_h is None else d_h[:1],
        bias=bias,
    )
    d_z, dh_back, d_ps_back = gru_backward(
        d[::-1, ..., size:],
        saved[1],
        ps[half:],
        None if d_h is None else d_h[1:],
        bias=bias,
    )
    d_x = d_x + d_z[::-1]
    if batch_first and d_x.ndim == 3:
        d_x = d_x.swapaxes(0, 1)
    return d_x, np.concatenate([dh, dh_back]), d_ps + d_ps_back


def stacked_gru_saved(
    x: Array,
    ps: tuple[Array, ...],
    hx: Array | None = None,
    *,
    num_layers: int,
    bias: bool = True,
    batch_first: bool = False,
    bidirectional: bool = False,
) -> tuple[tuple[Array, Array], Any]:
    """Run `stacked_gru`; also what each layer saves."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    size = len(ps) // num_layers  # weights per layer
    hs, saved = [], []
    for k in range(num_layers):
        weights = ps[k * size : (k + 1) * size]
        rows = slice(2 * k, 2 * k + 2) if bidirectional else slice(k, k + 1)
        start = None if hx is None else hx[rows]
        if bidirectional:
            (x, h), kept = bidirectional_gru_saved(x, weights, start, bias=bias)
        else:
            (x, h), kept = gru_saved(x, weights, start, bias=bias)
        hs.append(h)
        saved.append(kept)
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    return (x, np.concatenate(hs)), saved


def stacked_gru_dropout_saved(
    x: Array,
    ps: tuple[Array, ...],
    st: DropoutState,
    hx: Array | None = None,
    *,
    num_layers: int,
    p: float,
    bias: bool = True,
    batch_first: bool = False,
    bidirectional: bool = False,
) -> tuple[tuple[tuple[Array, Array], Any], DropoutState]:
    """Run `stacked_gru_dropout`; also what each layer saves, and the masks."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    size = len(ps) // num_layers  # weights per layer
    hs, saved, masks = [], [], []
    for k in range(num_layers):
        if k > 0:
            (x, mask), st = dropout_saved(x, st, p=p)
            masks.append(mask)
        weights = ps[k * size : (k + 1) * size]
        rows = slice(2 * k, 2 * k + 2) if bidirectional else slice(k, k + 1)
        start = None if hx is None else hx[rows]
        if bidirectional:
            (x, h), kept = bidirectional_gru_saved(x, weights, start, bias=bias)
        else:
            (x, h), kept = gru_saved(x, weights, start, bias=bias)
        hs.append(h)
        saved.append(kept)
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    return ((x, np.concatenate(hs)), (saved, masks)), st


def stacked_gru_backward(
    d: Array,
    saved: Any,
    ps: tuple[Array, ...],
    d_h: Array | None = None,
    masks: list[Array | None] | None = None,
    *,
    num_layers: int,
    p: float = 0.0,
    bias: bool = True,
    batch_first: bool = False,
    bidirectional: bool = False,
) -> tuple[Array, Array, tuple[Array, ...]]:
    """Cotangents of x, of the first states, and of ps; `masks` dropped between."""
    if batch_first and d.ndim == 3:
        d = d.swapaxes(0, 1)
    size = len(ps) // num_layers  # weights per layer
    d_hs, d_ps = [], []
    for k in reversed(range(num_layers)):
        weights = ps[k * size : (k + 1) * size]
        rows = slice(2 * k, 2 * k + 2) if bidirectional else slice(k, k + 1)
        last = None if d_h is None else d_h[rows]
        if bidirectional:
            d, dh, d_weights = bidirectional_gru_backward(
                d, saved[k], weights, last, bias=bias
            )
        else:
            d, dh, d_weights = gru_backward(d, saved[k], weights, last, bias=bias)
        if masks is not None and k > 0:
            d = dropout_backward(d, masks[k - 1], p=p)
        d_hs.append(dh)
        d_ps.append(d_weights)
    if batch_first and d.ndim == 3:
        d = d.swapaxes(0, 1)
    return (
        d,
        np.concatenate(d_hs[::-1]),
        tuple(a for layer in reversed(d_ps) for a in layer),
    )
