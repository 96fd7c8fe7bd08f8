"""Gradients of recurrent layers of one layer and one direction.

Forward keeps the gates and states of all steps, and the way back turns them into the
slopes of all steps at once; its loop only carries the cotangents of the states. The
weights' gradients are one product over all steps.
"""

import numpy as np

from luxgen.ops.activation import sigmoid
from luxgen.ops.linear import linear
from luxgen.ops.types import Array


def lstm_saved(
    x: Array,
    ps: tuple[Array, ...],
    hx: tuple[Array, Array] | None = None,
    *,
    bias: bool = True,
    batch_first: bool = False,
    proj_size: int = 0,
) -> tuple[tuple[Array, tuple[Array, Array]], tuple[Array, ...]]:
    """Run `lstm`; also its input, gates (T, N, 4 H), and h and c (T + 1, N, H)."""
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
    outputs, cells = [h], [c]
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
        cells.append(c)
    hs = np.stack(outputs)
    y = hs[1:]
    if batch_first and y.ndim == 3:
        y = y.swapaxes(0, 1)
    return (y, (h[None], c[None])), (x, steps, hs, np.stack(cells))


def lstm_backward(
    d: Array,
    saved: tuple[Array, ...],
    ps: tuple[Array, ...],
    d_h: Array | None = None,
    d_c: Array | None = None,
    *,
    bias: bool = True,
    batch_first: bool = False,
    proj_size: int = 0,
) -> tuple[Array, tuple[Array, Array], tuple[Array, ...]]:
    """Cotangents of x, of the first h and c, and of ps; given those of y, last h, c."""
    if batch_first and d.ndim == 3:
        d = d.swapaxes(0, 1)
    x, gates, hs, cs = saved
    i, f, g, o = np.split(gates, 4, axis=-1)
    tanh_c = np.tanh(cs[1:])
    # each step's slopes of c by its i, f, g and of h by its o; then cotangents
    d_gates = (gates * (1 - gates)).reshape(*gates.shape[:-1], 4, i.shape[-1])
    d_gates[..., 0, :] *= g
    d_gates[..., 1, :] *= cs[:-1]
    d_gates[..., 2, :] = i * (1 - g * g)
    d_gates[..., 3, :] *= tanh_c
    slope = o * (1 - tanh_c * tanh_c)  # of h by c
    dh = np.zeros_like(hs[0]) if d_h is None else d_h[0]
    dc = np.zeros_like(cs[0]) if d_c is None else d_c[0]
    outputs = []
    for t in reversed(range(len(d))):
        dh = dh + d[t]
        if proj_size:
            outputs.append(dh)
            dh = dh @ ps[-1]
        dc = dc + dh * slope[t]
        d_gates[t, ..., :3, :] *= dc[..., None, :]
        d_gates[t, ..., 3, :] *= dh
        dc *= f[t]
        dh = d_gates[t].reshape(gates.shape[1:]) @ ps[1]
    rows = d_gates.reshape(-1, gates.shape[-1])
    d_ps = recurrent_weights_backward(rows, rows, x, hs[:-1], bias=bias)
    if proj_size:
        projected = np.stack(outputs[::-1]).reshape(-1, proj_size)
        d_ps += (projected.T @ (o * tanh_c).reshape(len(projected), -1),)
    d_x = (rows @ ps[0]).reshape(x.shape)
    if batch_first and d.ndim == 3:
        d_x = d_x.swapaxes(0, 1)
    return d_x, (dh[None], dc[None]), d_ps


def recurrent_weights_backward(
    d_inputs: Array, d_hidden: Array, x: Array, h: Array, *, bias: bool = True
) -> tuple[Array, ...]:
    """Cotangents of weights and biases, given those of the sums of all steps (M, G)."""
    d_ih = d_inputs.T @ x.reshape(-1, x.shape[-1])
    d_hh = d_hidden.T @ h.reshape(-1, h.shape[-1])
    if not bias:
        return d_ih, d_hh
    return d_ih, d_hh, d_inputs.sum(axis=0), d_hidden.sum(axis=0)


def gru_saved(
    x: Array,
    ps: tuple[Array, ...],
    hx: Array | None = None,
    *,
    bias: bool = True,
    batch_first: bool = False,
) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
    """Run `gru`; also its input, gates (T, N, 3 H), hidden part of n, and h."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    steps = linear(x, ps[0], ps[2]) if bias else linear(x, ps[0])
    weight = ps[1].T.copy()  # contiguous, for faster products
    size = len(weight)
    h = np.zeros((*x.shape[1:-1], size), x.dtype) if hx is None else hx[0]
    outputs, parts = [h], []
    for step in steps:
        hidden = h @ weight
        if bias:
            hidden += ps[3]
        gates = sigmoid(step[..., : 2 * size] + hidden[..., : 2 * size])
        r, z = gates[..., :size], gates[..., size:]
        n = np.tanh(step[..., 2 * size :] + r * hidden[..., 2 * size :])
        h = n + z * (h - n)
        step[..., : 2 * size], step[..., 2 * size :] = gates, n
        outputs.append(h)
        parts.append(hidden[..., 2 * size :])
    hs = np.stack(outputs)
    y = hs[1:]
    if batch_first and y.ndim == 3:
        y = y.swapaxes(0, 1)
    return (y, h[None]), (x, steps, np.stack(parts), hs)


def gru_backward(
    d: Array,
    saved: tuple[Array, ...],
    ps: tuple[Array, ...],
    d_h: Array | None = None,
    *,
    bias: bool = True,
    batch_first: bool = False,
) -> tuple[Array, Array, tuple[Array, ...]]:
    """Cotangents of x, of the first h, and of ps; given those of y and the last h."""
    if batch_first and d.ndim == 3:
        d = d.swapaxes(0, 1)
    x, gates, hidden, hs = saved
    r, z, n = np.split(gates, 3, axis=-1)
    # each step's slopes of h by its gates, n by its hidden part; then cotangents
    slope = (1 - z) * (1 - n * n)
    slopes = [slope * hidden * r * (1 - r), (hs[:-1] - n) * z * (1 - z), slope * r]
    d_hidden = np.stack(slopes, axis=-2)
    dh = np.zeros_like(hs[0]) if d_h is None else d_h[0]
    for t in reversed(range(len(d))):
        dh = dh + d[t]
        d_hidden[t] *= dh[..., None, :]
        slope[t] *= dh
        dh *= z[t]
        dh += d_hidden[t].reshape(gates.shape[1:]) @ ps[1]
    d_inputs = d_hidden.copy()
    d_inputs[..., 2, :] = slope
    rows, hidden_rows = (a.reshape(-1, gates.shape[-1]) for a in (d_inputs, d_hidden))
    d_ps = recurrent_weights_backward(rows, hidden_rows, x, hs[:-1], bias=bias)
    d_x = (rows @ ps[0]).reshape(x.shape)
    if batch_first and d.ndim == 3:
        d_x = d_x.swapaxes(0, 1)
    return d_x, dh[None], d_ps


def rnn_saved(
    x: Array,
    ps: tuple[Array, ...],
    hx: Array | None = None,
    *,
    nonlinearity: str = "tanh",
    bias: bool = True,
    batch_first: bool = False,
) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
    """Run `rnn`; also its input, and h (T + 1, N, H)."""
    if batch_first and x.ndim == 3:
        x = x.swapaxes(0, 1)
    steps = linear(x, ps[0], ps[2] + ps[3]) if bias else linear(x, ps[0])
    weight = ps[1].T.copy()  # contiguous, for faster products
    h = np.zeros((*x.shape[1:-1], len(weight)), x.dtype) if hx is None else hx[0]
    outputs = [h]
    for step in steps:
        step += h @ weight
        h = np.tanh(step) if nonlinearity == "tanh" else np.maximum(step, 0)
        outputs.append(h)
    hs = np.stack(outputs)
    y = hs[1:]
    if batch_first and y.ndim == 3:
        y = y.swapaxes(0, 1)
    return (y, h[None]), (x, hs)


def rnn_backward(
    d: Array,
    saved: tuple[Array, ...],
    ps: tuple[Array, ...],
    d_h: Array | None = None,
    *,
    nonlinearity: str = "tanh",
    bias: bool = True,
    batch_first: bool = False,
) -> tuple[Array, Array, tuple[Array, ...]]:
    """Cotangents of x, of the first h, and of ps; given those of y and the last h."""
    if batch_first and d.ndim == 3:
        d = d.swapaxes(0, 1)
    x, hs = saved
    y = hs[1:]
    # each step's slope of h by its sum; then the cotangent of that sum
    d_steps = 1 - y * y if nonlinearity == "tanh" else (y > 0).astype(y.dtype)
    dh = np.zeros_like(hs[0]) if d_h is None else d_h[0]
    for t in reversed(range(len(d))):
        d_steps[t] *= dh + d[t]
        dh = d_steps[t] @ ps[1]
    rows = d_steps.reshape(-1, d_steps.shape[-1])
    d_ps = recurrent_weights_backward(rows, rows, x, hs[:-1], bias=bias)
    d_x = (rows @ ps[0]).reshape(x.shape)
    if batch_first and d.ndim == 3:
        d_x = d_x.swapaxes(0, 1)
    return d_x, dh[None], d_ps
