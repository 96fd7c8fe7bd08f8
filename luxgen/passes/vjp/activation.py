"""VJP rows of activations, softmax and its relatives."""

from __future__ import annotations

from luxgen.ir.values import Value
from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term, settled

REAL = {"complex64": "float32", "complex128": "float64"}


def relu(g: Row) -> Cotangents:
    return {"input": (g.out > 0).where(g.d, 0)}


def within(g: Row, low: float, high: float) -> Term:
    """Where the input lies between `low` and `high`, both excluded."""
    return (g["input"] > low) & (g["input"] < high)


def relu6(g: Row) -> Cotangents:
    return {"input": within(g, 0, 6).where(g.d, 0)}


def hardtanh(g: Row) -> Cotangents:
    low, high = g.const("min_val", -1.0), g.const("max_val", 1.0)
    return {"input": within(g, low, high).where(g.d, 0)}


def hardsigmoid(g: Row) -> Cotangents:
    return {"input": within(g, -3, 3).where(g.d / 6, 0)}


def hardswish(g: Row) -> Cotangents:
    x = g["input"]
    slope = (x < 3).where(x / 3 + 0.5, 1.0)
    return {"input": (x > -3).where(g.d * slope, 0)}


def shrink(g: Row) -> Cotangents:
    """hardshrink and softshrink: flat within [-lambd, lambd]."""
    flat = g["input"].unary("abs") <= g.const("lambd", 0.5)
    return {"input": flat.where(0, g.d)}


def tanhshrink(g: Row) -> Cotangents:
    z = g["input"].unary("tanh")
    return {"input": g.d * (z * z).conj()}


def threshold(g: Row) -> Cotangents:
    return {"input": (g["input"] <= g.const("threshold")).where(0, g.d)}


def leaky_relu(g: Row) -> Cotangents:
    slope = g.const("negative_slope", 0.01)
    return {"input": (g["input"] > 0).where(g.d, g.d * slope)}


def rrelu(g: Row) -> Cotangents:
    """Outside training the mean slope; else the slopes that the forward drew."""
    x = g["input"]
    if g.op.state is not None:
        slope = g.save("rrelu_saved")
        d = g.tape.op("rrelu_backward", like=x, d=g.d, input=x, slope=slope)
        return {"input": d}
    mean = (g.const("lower", 1 / 8) + g.const("upper", 1 / 3)) / 2
    return {"input": (x > 0).where(g.d, g.d * mean)}


def along_channels(weight: Term, ndim: int) -> Term:
    """One number per channel as it is broadcast against `ndim` dims, channels in 1."""
    if ndim <= 2:
        return weight
    ones = (1,) * (ndim - 2)
    args = {"input": weight, "shape": (-1, *ones)}
    shape, witness = (*weight.shape, *ones), (*weight.witness, *ones)
    out: Term = weight.tape.emit("reshape", args, Value(weight.dtype, shape, witness))
    return out


def prelu(g: Row) -> Cotangents:
    """The weight is one number, or one per channel (dim 1)."""
    x, weight = g["input"], g["weight"]
    if x.ndim == 0 and weight.ndim:
        weight = weight.squeeze(0)
    elif weight.ndim:
        weight = along_channels(weight, x.ndim)
    positive = x > 0
    d_weight = settled(positive.where(0, g.d * x), weight)
    return {
        "input": positive.where(g.d, g.d * weight),
        "weight": d_weight.reshape_as(g["weight"]),
    }


def saturating(g: Row, alpha: float, rate: float = 1.0) -> Term:
    """The slope of alpha * (exp(rate * x) - 1) below 0, of x above."""
    x = g["input"]
    below = x.unary("clamp_max", max=0)
    slope = (below if rate == 1 else below * rate).unary("exp")
    if alpha * rate == 1:
        return slope
    return (x > 0).where(1.0, slope * (alpha * rate))


def elu(g: Row) -> Cotangents:
    if g.const("scale", 1) != 1 or g.const("input_scale", 1) != 1:
        scale, rate = g.const("scale", 1.0), g.const("input_scale", 1.0)
        return {"input": g.d * saturating(g, g.const("alpha", 1.0), rate) * scale}
    return {"input": g.d * saturating(g, g.const("alpha", 1.0))}


def celu(g: Row) -> Cotangents:
    alpha = g.const("alpha", 1.0)
    x = g["input"].unary("clamp_max", max=0)
    return {"input": g.d * (x if alpha == 1 else x / alpha).unary("exp")}


def selu(g: Row) -> Cotangents:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return {"input": g.d * saturating(g, alpha) * scale}


def sigmoid(g: Row) -> Cotangents:
    return {"input": g.d * (g.out * (1 - g.out)).conj()}


def logsigmoid(g: Row) -> Cotangents:
    return {"input": g.d * (-g["input"]).unary("sigmoid")}


def silu(g: Row) -> Cotangents:
    x = g["input"]
    s = x.unary("sigmoid")
    return {"input": g.d * (s * (1 + x * (1 - s)))}


def softplus(g: Row) -> Cotangents:
    """Beyond the threshold the slope is 1, which float32 has there by itself."""
    x, beta, limit = g["input"], g.const("beta", 1.0), g.const("threshold", 20.0)
    z = x if beta == 1 else x * beta
    d = g.d * z.unary("sigmoid")
    if x.dtype == "float32" and limit >= 20:
        return {"input": d}
    return {"input": (z > limit).where(g.d, d)}


def softsign(g: Row) -> Cotangents:
    x = g["input"]
    size = 1 + g.tape.op("abs", like=x, dtype=REAL.get(x.dtype, x.dtype), input=x)
    if not x.is_complex:
        return {"input": g.d / (size * size)}
    d_size = (g.d * x.conj()).to(size.dtype) / (size * size)
    return {"input": g.d / size - d_size * x.unary("sgn")}


def by_helper(*options: str) -> Vjp:
    """Row: the op's own backward, given d, the input and the options named."""

    def row(g: Row) -> Cotangents:
        given = {name: g.arg(name) for name in options if g.has(name)}
        x = g["input"]
        name = f"{g.op.name}_backward"
        return {"input": g.tape.op(name, like=x, d=g.d, input=x, **given)}

    return row


def softmax_dim(g: Row) -> int:
    """The dim given, or the one that torch takes where none is."""
    if g.has("dim"):
        return int(g.const("dim"))
    return 0 if g["input"].ndim in (0, 1, 3) else 1


def softmax(g: Row) -> Cotangents:
    y = g.out
    total = _sum(g.d * y, softmax_dim(g))
    return {"input": y * (g.d - total)}


def softmin(g: Row) -> Cotangents:
    y = g.out
    total = _sum(g.d * y, softmax_dim(g))
    return {"input": y * (total - g.d)}


def log_softmax(g: Row) -> Cotangents:
    total = _sum(g.d, softmax_dim(g))
    return {"input": g.d - g.out.unary("exp") * total}


def _sum(term: Term, dim: int) -> Term:
    return term.sum(dim, keepdim=True) if term.ndim else term


VJP: dict[str, Vjp] = {
    "relu": relu,
    "relu6": relu6,
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "rrelu": rrelu,
    "elu": elu,
    "celu": celu,
    "selu": selu,
    "gelu": by_helper("approximate"),
    "glu": by_helper("dim"),
    "sigmoid": sigmoid,
    "logsigmoid": logsigmoid,
    "log_sigmoid": logsigmoid,
    "silu": silu,
    "mish": by_helper(),
    "softplus": softplus,
    "softsign": softsign,
    "tanhshrink": tanhshrink,
    "hardtanh": hardtanh,
    "hardsigmoid": hardsigmoid,
    "hardswish": hardswish,
    "hardshrink": shrink,
    "softshrink": shrink,
    "threshold": threshold,
    "softmax": softmax,
    "_safe_softmax": softmax,
    "softmin": softmin,
    "log_softmax": log_softmax,
    "_log_softmax": log_softmax,
}
