"""Gradients of recurrent cells, by the gates that forward computed."""

import numpy as np

from luxgen.ops.activation import sigmoid
from luxgen.ops.linear import linear
from luxgen.ops.recurrent import rnn_cell
from luxgen.ops.recurrent_backward import recurrent_weights_backward
from luxgen.ops.types import Array


def lstm_cell_saved(
    x: Array, h: Array, c: Array, ps: tuple[Array, ...], *, bias: bool = True
) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
    """Step `lstm_cell`; also what it was given, and its gates and next c."""
    gates = linear(x, ps[0]) + linear(h, ps[1])
    if bias:
        gates += ps[2] + ps[3]
    i, f, g, o = np.split(gates, 4, axis=-1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    next_c = f * c + i * g
    return (o * np.tanh(next_c), next_c), (x, h, c, i, f, g, o, next_c)


def lstm_cell_backward(
    d_h: Array,
    d_c: Array,
    saved: tuple[Array, ...],
    ps: tuple[Array, ...],
    *,
    bias: bool = True,
) -> tuple[Array, Array, Array, tuple[Array, ...]]:
    """Cotangents of x, h, c and ps, given those of the next h and c."""
    x, h, c, i, f, g, o, next_c = saved
    tanh_c = np.tanh(next_c)
    d_c = d_c + d_h * o * (1 - tanh_c * tanh_c)
    d_gates = np.concatenate(
        [
            d_c * g * i * (1 - i),
            d_c * c * f * (1 - f),
            d_c * i * (1 - g * g),
            d_h * tanh_c * o * (1 - o),
        ],
        axis=-1,
    )
    rows = np.atleast_2d(d_gates)
    d_ps = recurrent_weights_backward(rows, rows, x, h, bias=bias)
    return d_gates @ ps[0], d_gates @ ps[1], d_c * f, d_ps


def gru_cell_saved(
    x: Array, h: Array, ps: tuple[Array, ...], *, bias: bool = True
) -> tuple[Array, tuple[Array, ...]]:
    """Step `gru_cell`; also what it was given, and its gates and hidden part of n."""
    inputs, hidden = linear(x, ps[0]), linear(h, ps[1])
    if bias:
        inputs, hidden = inputs + ps[2], hidden + ps[3]
    xr, xz, xn = np.split(inputs, 3, axis=-1)
    hr, hz, hn = np.split(hidden, 3, axis=-1)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * hn)
    return n + z * (h - n), (x, h, r, z, n, hn)


def gru_cell_backward(
    d: Array, saved: tuple[Array, ...], ps: tuple[Array, ...], *, bias: bool = True
) -> tuple[Array, Array, tuple[Array, ...]]:
    """Cotangents of x, h and ps, given that of the next h."""
    x, h, r, z, n, hn = saved
    d_n = d * (1 - z) * (1 - n * n)
    d_r = d_n * hn * r * (1 - r)
    d_z = d * (h - n) * z * (1 - z)
    d_inputs = np.concatenate([d_r, d_z, d_n], axis=-1)
    d_hidden = np.concatenate([d_r, d_z, d_n * r], axis=-1)
    rows, hidden_rows = np.atleast_2d(d_inputs, d_hidden)
    d_ps = recurrent_weights_backward(rows, hidden_rows, x, h, bias=bias)
    return d_inputs @ ps[0], d * z + d_hidden @ ps[1], d_ps


def rnn_cell_saved(
    x: Array,
    h: Array,
    ps: tuple[Array, ...],
    *,
    bias: bool = True,
    nonlinearity: str = "tanh",
) -> tuple[Array, tuple[Array, ...]]:
    """Step `rnn_cell`; also what it was given, and the next h."""
    y = rnn_cell(x, h, ps, bias=bias, nonlinearity=nonlinearity)
    return y, (x, h, y)


def rnn_cell_backward(
    d: Array,
    saved: tuple[Array, ...],
    ps: tuple[Array, ...],
    *,
    bias: bool = True,
    nonlinearity: str = "tanh",
) -> tuple[Array, Array, tuple[Array, ...]]:
    """Cotangents of x, h and ps, given that of the next h."""
    x, h, y = saved
    d = d * (1 - y * y if nonlinearity == "tanh" else y > 0)
    rows = np.atleast_2d(d)
    d_ps = recurrent_weights_backward(rows, rows, x, h, bias=bias)
    return d @ ps[0], d @ ps[1], d_ps
