"""Recurrent nets of several layers or both directions, with dropout between layers.

Weights and states are those of `recurrent`, layer after layer, and in each layer
first the forward direction's, then the backward's.
"""

import numpy as np

from luxgen.ops.dropout import DropoutState, dropout
from luxgen.ops.recurrent import gru, lstm, rnn
from luxgen.ops.types import Array


def bidirectional_lstm(
    x: Array,
    ps: tuple[Array, ...],
    hx: tuple[Array, Array] | None = None,
    *,
    bias: bool = True,
    batch_first: bool = False,
    proj_size: int = 0,
) -> tuple[Array, tuple[Array, Array]]:
    """Run torch.nn.LSTM of one layer forwards and backwards: y (T, N, 2 H)."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    half = len(ps) // 2
    start = None if hx is None else (hx[0][:1], hx[1][:1])
    other_start = None if hx is None else (hx[0][1:], hx[1][1:])
    y, (h, c) = lstm(x, ps[:half], start, bias=bias, proj_size=proj_size)
    z, (h_back, c_back) = lstm(
        x[::-1], ps[half:], other_start, bias=bias, proj_size=proj_size
    )
    y = np.concatenate([y, z[::-1]], axis=-1)
    if batch_first and y.ndim == 3:
        y = y.swapaxes(0, 1)
    return y, (np.concatenate([h, h_back]), np.concatenate([c, c_back]))


def stacked_lstm(
    x: Array,
    ps: tuple[Array, ...],
    hx: tuple[Array, Array] | None = None,
    *,
    num_layers: int,
    bias: bool = True,
    batch_first: bool = False,
    bidirectional: bool = False,
    proj_size: int = 0,
) -> tuple[Array, tuple[Array, Array]]:
    """Run torch.nn.LSTM of several layers: y of the last, h and c of each."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    size = len(ps) // num_layers  # weights per layer
    hs, cs = [], []
    for k in range(num_layers):
        weights = ps[k * size : (k + 1) * size]
        rows = slice(2 * k, 2 * k + 2) if bidirectional else slice(k, k + 1)
        start = None if hx is None else (hx[0][rows], hx[1][rows])
        if bidirectional:
            x, (h, c) = bidirectional_lstm(
                x, weights, start, bias=bias, proj_size=proj_size
            )
        else:
            x, (h, c) = lstm(x, weights, start, bias=bias, proj_size=proj_size)
        hs.append(h)
        cs.append(c)
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    return x, (np.concatenate(hs), np.concatenate(cs))


def stacked_lstm_dropout(
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
) -> tuple[tuple[Array, tuple[Array, Array]], DropoutState]:
    """Run torch.nn.LSTM of several layers with dropout between them."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    size = len(ps) // num_layers  # weights per layer
    hs, cs = [], []
    for k in range(num_layers):
        if k > 0:
            x, st = dropout(x, st, p=p)
        weights = ps[k * size : (k + 1) * size]
        rows = slice(2 * k, 2 * k + 2) if bidirectional else slice(k, k + 1)
        start = None if hx is None else (hx[0][rows], hx[1][rows])
        if bidirectional:
            x, (h, c) = bidirectional_lstm(
                x, weights, start, bias=bias, proj_size=proj_size
            )
        else:
            x, (h, c) = lstm(x, weights, start, bias=bias, proj_size=proj_size)
        hs.append(h)
        cs.append(c)
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    return (x, (np.concatenate(hs), np.concatenate(cs))), st


def bidirectional_gru(
    x: Array,
    ps: tuple[Array, ...],
    hx: Array | None = None,
    *,
    bias: bool = True,
    batch_first: bool = False,
) -> tuple[Array, Array]:
    """Run torch.nn.GRU of one layer forwards and backwards: y (T, N, 2 H)."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    half = len(ps) // 2
    start = None if hx is None else hx[:1]
    other_start = None if hx is None else hx[1:]
    y, h = gru(x, ps[:half], start, bias=bias)
    z, h_back = gru(x[::-1], ps[half:], other_start, bias=bias)
    y = np.concatenate([y, z[::-1]], axis=-1)
    if batch_first and y.ndim == 3:
        y = y.swapaxes(0, 1)
    return y, np.concatenate([h, h_back])


def stacked_gru(
    x: Array,
    ps: tuple[Array, ...],
    hx: Array | None = None,
    *,
    num_layers: int,
    bias: bool = True,
    batch_first: bool = False,
    bidirectional: bool = False,
) -> tuple[Array, Array]:
    """Run torch.nn.GRU of several layers: y of the last, h of each."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    size = len(ps) // num_layers  # weights per layer
    hs = []
    for k in range(num_layers):
        weights = ps[k * size : (k + 1) * size]
        rows = slice(2 * k, 2 * k + 2) if bidirectional else slice(k, k + 1)
        start = None if hx is None else hx[rows]
        if bidirectional:
            x, h = bidirectional_gru(x, weights, start, bias=bias)
        else:
            x, h = gru(x, weights, start, bias=bias)
        hs.append(h)
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    return x, np.concatenate(hs)


def stacked_gru_dropout(
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
) -> tuple[tuple[Array, Array], DropoutState]:
    """Run torch.nn.GRU of several layers with dropout between them."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    size = len(ps) // num_layers  # weights per layer
    hs = []
    for k in range(num_layers):
        if k > 0:
            x, st = dropout(x, st, p=p)
        weights = ps[k * size : (k + 1) * size]
        rows = slice(2 * k, 2 * k + 2) if bidirectional else slice(k, k + 1)
        start = None if hx is None else hx[rows]
        if bidirectional:
            x, h = bidirectional_gru(x, weights, start, bias=bias)
        else:
            x, h = gru(x, weights, start, bias=bias)
        hs.append(h)
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    return (x, np.concatenate(hs)), st


def bidirectional_rnn(
    x: Array,
    ps: tuple[Array, ...],
    hx: Array | None = None,
    *,
    nonlinearity: str = "tanh",
    bias: bool = True,
    batch_first: bool = False,
) -> tuple[Array, Array]:
    """Run torch.nn.RNN of one layer forwards and backwards: y (T, N, 2 H)."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    half = len(ps) // 2
    start = None if hx is None else hx[:1]
    other_start = None if hx is None else hx[1:]
    y, h = rnn(x, ps[:half], start, nonlinearity=nonlinearity, bias=bias)
    z, h_back = rnn(
        x[::-1], ps[half:], other_start, nonlinearity=nonlinearity, bias=bias
    )
    y = np.concatenate([y, z[::-1]], axis=-1)
    if batch_first and y.ndim == 3:
        y = y.swapaxes(0, 1)
    return y, np.concatenate([h, h_back])


def stacked_rnn(
    x: Array,
    ps: tuple[Array, ...],
    hx: Array | None = None,
    *,
    num_layers: int,
    nonlinearity: str = "tanh",
    bias: bool = True,
    batch_first: bool = False,
    bidirectional: bool = False,
) -> tuple[Array, Array]:
    """Run torch.nn.RNN of several layers: y of the last, h of each."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    size = len(ps) // num_layers  # weights per layer
    hs = []
    for k in range(num_layers):
        weights = ps[k * size : (k + 1) * size]
        rows = slice(2 * k, 2 * k + 2) if bidirectional else slice(k, k + 1)
        start = None if hx is None else hx[rows]
        if bidirectional:
            x, h = bidirectional_rnn(
                x, weights, start, nonlinearity=nonlinearity, bias=bias
            )
        else:
            x, h = rnn(x, weights, start, nonlinearity=nonlinearity, bias=bias)
        hs.append(h)
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    return x, np.concatenate(hs)


def stacked_rnn_dropout(
    x: Array,
    ps: tuple[Array, ...],
    st: DropoutState,
    hx: Array | None = None,
    *,
    num_layers: int,
    p: float,
    nonlinearity: str = "tanh",
    bias: bool = True,
    batch_first: bool = False,
    bidirectional: bool = False,
) -> tuple[tuple[Array, Array], DropoutState]:
    """Run torch.nn.RNN of several layers with dropout between them."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    size = len(ps) // num_layers  # weights per layer
    hs = []
    for k in range(num_layers):
        if k > 0:
            x, st = dropout(x, st, p=p)
        weights = ps[k * size : (k + 1) * size]
        rows = slice(2 * k, 2 * k + 2) if bidirectional else slice(k, k + 1)
        start = None if hx is None else hx[rows]
        if bidirectional:
            x, h = bidirectional_rnn(
                x, weights, start, nonlinearity=nonlinearity, bias=bias
            )
        else:
            x, h = rnn(x, weights, start, nonlinearity=nonlinearity, bias=bias)
        hs.append(h)
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    return (x, np.concatenate(hs)), st
