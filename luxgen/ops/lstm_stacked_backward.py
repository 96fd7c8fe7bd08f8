"""Gradients of LSTM nets of several layers or both directions.

What forward saves and what the way back gets is that of `recurrent_backward`, layer
after layer, and in each layer first the forward direction's, then the backward's.
"""

from typing import Any

import numpy as np

from luxgen.ops.dropout import DropoutState
from luxgen.ops.dropout_backward import dropout_backward, dropout_saved
from luxgen.ops.recurrent_backward import lstm_backward, lstm_saved
from luxgen.ops.types import Array


def bidirectional_lstm_saved(
    x: Array,
    ps: tuple[Array, ...],
    hx: tuple[Array, Array] | None = None,
    *,
    bias: bool = True,
    batch_first: bool = False,
    proj_size: int = 0,
) -> tuple[tuple[Array, tuple[Array, Array]], Any]:
    """Run `bidirectional_lstm`; also what each direction saves."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    half = len(ps) // 2
    start = None if hx is None else (hx[0][:1], hx[1][:1])
    other_start = None if hx is None else (hx[0][1:], hx[1][1:])
    (y, (h, c)), saved = lstm_saved(x, ps[:half], start, bias=bias, proj_size=proj_size)
    (z, (h_back, c_back)), saved_back = lstm_saved(
        x[::-1], ps[half:], other_start, bias=bias, proj_size=proj_size
    )
    y = np.concatenate([y, z[::-1]], axis=-1)
    if batch_first and y.ndim == 3:
        y = y.swapaxes(0, 1)
    return (y, (np.concatenate([h, h_back]), np.concatenate([c, c_back]))), (
        saved,
        saved_back,
    )


def bidirectional_lstm_backward(
    d: Array,
    saved: Any,
    ps: tuple[Array, ...],
    d_h: Array | None = None,
    d_c: Array | None = None,
    *,
    bias: bool = True,
    batch_first: bool = False,
    proj_size: int = 0,
) -> tuple[Array, tuple[Array, Array], tuple[Array, ...]]:
    """Cotangents of x, of the first state, and of ps."""
    if batch_first and d.ndim == 3:
        d = d.swapaxes(0, 1)
    half, size = len(ps) // 2, d.shape[-1] // 2
    d_x, (dh, dc), d_ps = lstm_backward(
        d[..., :size],
        saved[0],
        ps[:half],
        None if d_h is None else d_h[:1],
        None if d_c is None else d_c[:1],
        bias=bias,
        proj_size=proj_size,
    )
    d_z, (dh_back, dc_back), d_ps_back = lstm_backward(
        d[::-1, ..., size:],
        saved[1],
        ps[half:],
        None if d_h is None else d_h[1:],
        None if d_c is None else d_c[1:],
        bias=bias,
        proj_size=proj_size,
    )
    d_x = d_x + d_z[::-1]
    if batch_first and d_x.ndim == 3:
        d_x = d_x.swapaxes(0, 1)
    return (
        d_x,
        (np.concatenate([dh, dh_back]), np.concatenate([dc, dc_back])),
        d_ps + d_ps_back,
    )


def stacked_lstm_saved(
    x: Array,
    ps: tuple[Array, ...],
    hx: tuple[Array, Array] | None = None,
    *,
    num_layers: int,
    bias: bool = True,
    batch_first: bool = False,
    bidirectional: bool = False,
    proj_size: int = 0,
) -> tuple[tuple[Array, tuple[Array, Array]], Any]:
    """Run `stacked_lstm`; also what each layer saves."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    size = len(ps) // num_layers  # weights per layer
    hs, cs, saved = [], [], []
    for k in range(num_layers):
        weights = ps[k * size : (k + 1) * size]
        rows = slice(2 * k, 2 * k + 2) if bidirectional else slice(k, k + 1)
        start = None if hx is None else (hx[0][rows], hx[1][rows])
        if bidirectional:
            (x, (h, c)), kept = bidirectional_lstm_saved(
                x, weights, start, bias=bias, proj_size=proj_size
            )
        else:
            (x, (h, c)), kept = lstm_saved(
                x, weights, start, bias=bias, proj_size=proj_size
            )
        hs.append(h)
        cs.append(c)
        saved.append(kept)
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    return (x, (np.concatenate(hs), np.concatenate(cs))), saved


def stacked_lstm_dropout_saved(
    x: Array,
    ps: tuple[Array, ...],
    st: DropoutState,
    hx: tuple[Array, Array] | None = None,
    *,
    num_layers: int,
    p: float,
    bias: bool = True,
    batch_first: bool = False,
    bidirectional: bool = False,
    proj_size: int = 0,
) -> tuple[tuple[tuple[Array, tuple[Array, Array]], Any], DropoutState]:
    """Run `stacked_lstm_dropout`; also what each layer saves, and the masks."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    size = len(ps) // num_layers  # weights per layer
    hs, cs, saved, masks = [], [], [], []
    for k in range(num_layers):
        if k > 0:
            (x, mask), st = dropout_saved(x, st, p=p)
            masks.append(mask)
        weights = ps[k * size : (k + 1) * size]
        rows = slice(2 * k, 2 * k + 2) if bidirectional else slice(k, k + 1)
        start = None if hx is None else (hx[0][rows], hx[1][rows])
        if bidirectional:
            (x, (h, c)), kept = bidirectional_lstm_saved(
                x, weights, start, bias=bias, proj_size=proj_size
            )
        else:
            (x, (h, c)), kept = lstm_saved(
                x, weights, start, bias=bias, proj_size=proj_size
            )
        hs.append(h)
        cs.append(c)
        saved.append(kept)
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    return ((x, (np.concatenate(hs), np.concatenate(cs))), (saved, masks)), st


def stacked_lstm_backward(
    d: Array,
    saved: Any,
    ps: tuple[Array, ...],
    d_h: Array | None = None,
    d_c: Array | None = None,
    masks: list[Array | None] | None = None,
    *,
    num_layers: int,
    p: float = 0.0,
    bias: bool = True,
    batch_first: bool = False,
    bidirectional: bool = False,
    proj_size: int = 0,
) -> tuple[Array, tuple[Array, Array], tuple[Array, ...]]:
    """Cotangents of x, of the first states, and of ps; `masks` dropped between."""
    if batch_first and d.ndim == 3:
        d = d.swapaxes(0, 1)
    size = len(ps) // num_layers  # weights per layer
    d_hs, d_cs, d_ps = [], [], []
    for k in reversed(range(num_layers)):
        weights = ps[k * size : (k + 1) * size]
        rows = slice(2 * k, 2 * k + 2) if bidirectional else slice(k, k + 1)
        last = None if d_h is None else d_h[rows]
        last_c = None if d_c is None else d_c[rows]
        if bidirectional:
            d, (dh, dc), d_weights = bidirectional_lstm_backward(
                d, saved[k], weights, last, last_c, bias=bias, proj_size=proj_size
            )
        else:
            d, (dh, dc), d_weights = lstm_backward(
                d, saved[k], weights, last, last_c, bias=bias, proj_size=proj_size
            )
        if masks is not None and k > 0:
            d = dropout_backward(d, masks[k - 1], p=p)
        d_hs.append(dh)
        d_cs.append(dc)
        d_ps.append(d_weights)
    if batch_first and d.ndim == 3:
        d = d.swapaxes(0, 1)
    return (
        d,
        (np.concatenate(d_hs[::-1]), np.concatenate(d_cs[::-1])),
        tuple(a for layer in reversed(d_ps) for a in layer),
    )
