"""Recurrent cells and layers: torch.nn.LSTM, GRU and RNN of one layer, one direction.

Weights come as one tuple in torch's order: weight_ih, weight_hh, then bias_ih and
bias_hh where there are biases, then weight_hr where an LSTM projects. Sequences are
(T, N, I), or (T, I) unbatched; states lead with one row per layer and direction.
"""

import numpy as np

from luxgen.ops.activation import sigmoid
from luxgen.ops.linear import linear
from luxgen.ops.types import Array


def lstm_cell(
    x: Array, h: Array, c: Array, ps: tuple[Array, ...], *, bias: bool = True
) -> tuple[Array, Array]:
    """Step torch.nn.LSTMCell: x (N, I); h, c (N, H) -> the next h, c."""
    gates = linear(x, ps[0]) + linear(h, ps[1])
    if bias:
        gates += ps[2] + ps[3]
    i, f, g, o = np.split(gates, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_cell(x: Array, h: Array, ps: tuple[Array, ...], *, bias: bool = True) -> Array:
    """Step torch.nn.GRUCell: x (N, I), h (N, H) -> (N, H)."""
    inputs, hidden = linear(x, ps[0]), linear(h, ps[1])
    if bias:
        inputs, hidden = inputs + ps[2], hidden + ps[3]
    xr, xz, xn = np.split(inputs, 3, axis=-1)
    hr, hz, hn = np.split(hidden, 3, axis=-1)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * hn)
    y: Array = n + z * (h - n)
    return y


def rnn_cell(
    x: Array,
    h: Array,
    ps: tuple[Array, ...],
    *,
    bias: bool = True,
    nonlinearity: str = "tanh",
) -> Array:
    """Step torch.nn.RNNCell: x (N, I), h (N, H) -> (N, H)."""
    y: Array = linear(x, ps[0]) + linear(h, ps[1])
    if bias:
        y += ps[2] + ps[3]
    return np.tanh(y) if nonlinearity == "tanh" else np.maximum(y, 0)


def lstm(
    x: Array,
    ps: tuple[Array, ...],
    hx: tuple[Array, Array] | None = None,
    *,
    bias: bool = True,
    batch_first: bool = False,
    proj_size: int = 0,
) -> tuple[Array, tuple[Array, Array]]:
    """Run a torch.nn.LSTM layer over x (T, N, I): y (T, N, H), last h, c (1, N, H)."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    steps = linear(x, ps[0], ps[2] + ps[3]) if bias else linear(x, ps[0])
    # sigmoid(z) = tanh(z / 2) / 2 + 1 / 2: one tanh does the gates i, f, g, o
    size = len(ps[1]) // 4
    scale = np.repeat(np.array([0.5, 0.5, 1, 0.5], x.dtype), size)
    shift = 1 - scale
    steps *= scale
    weight = np.multiply(ps[1].T, scale, order="C")  # C for faster products
    if hx is None:
        h = np.zeros((*x.shape[1:-1], len(weight)), x.dtype)
        c = np.zeros((*x.shape[1:-1], size), x.dtype)
    else:
        h, c = hx[0][0], hx[1][0]
    outputs = []
    for gates, i, f, g, o in zip(steps, *np.split(steps, 4, axis=-1), strict=True):
        gates += h @ weight
        np.tanh(gates, out=gates)
        gates *= scale
        gates += shift
        c = f * c + i * g
        h = o * np.tanh(c)
        if proj_size:
            h = h @ ps[-1].T
        outputs.append(h)
    y = np.stack(outputs)
    if batch_first and y.ndim == 3:
        y = y.swapaxes(0, 1)
    return y, (h[None], c[None])


def flat_lstm(
    result: tuple[Array, tuple[Array, Array]],
) -> tuple[Array, Array, Array]:
    """Unpack the last state, as torch.lstm returns it."""
    y, (h, c) = result
    return y, h, c


def gru(
    x: Array,
    ps: tuple[Array, ...],
    hx: Array | None = None,
    *,
    bias: bool = True,
    batch_first: bool = False,
) -> tuple[Array, Array]:
    """Run a torch.nn.GRU layer over x (T, N, I): y (T, N, H), last h (1, N, H)."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    steps = linear(x, ps[0], ps[2]) if bias else linear(x, ps[0])
    weight = ps[1].T.copy()  # contiguous, for faster products
    size = len(weight)
    h = np.zeros((*x.shape[1:-1], size), x.dtype) if hx is None else hx[0]
    outputs = []
    for step in steps:
        hidden = h @ weight
        if bias:
            hidden += ps[3]
        gates = sigmoid(step[..., : 2 * size] + hidden[..., : 2 * size])
        r, z = gates[..., :size], gates[..., size:]
        n = np.tanh(step[..., 2 * size :] + r * hidden[..., 2 * size :])
        h = n + z * (h - n)
        outputs.append(h)
    y = np.stack(outputs)
    if batch_first and y.ndim == 3:
        y = y.swapaxes(0, 1)
    return y, h[None]


def rnn(
    x: Array,
    ps: tuple[Array, ...],
    hx: Array | None = None,
    *,
    nonlinearity: str = "tanh",
    bias: bool = True,
    batch_first: bool = False,
) -> tuple[Array, Array]:
    """Run a torch.nn.RNN layer over x (T, N, I): y (T, N, H), last h (1, N, H)."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    steps = linear(x, ps[0], ps[2] + ps[3]) if bias else linear(x, ps[0])
    weight = ps[1].T.copy()  # contiguous, for faster products
    h = np.zeros((*x.shape[1:-1], len(weight)), x.dtype) if hx is None else hx[0]
    outputs = []
    for step in steps:
        step += h @ weight
        h = np.tanh(step) if nonlinearity == "tanh" else np.maximum(step, 0)
        outputs.append(h)
    y = np.stack(outputs)
    if batch_first and y.ndim == 3:
        y = y.swapaxes(0, 1)
    return y, h[None]
