"""VJP rows of convolutions and their transposes, each the other's adjoint."""

from __future__ import annotations

from typing import Any

from luxgen.ir.values import Option
from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term

OPTIONS = ("stride", "padding", "dilation", "groups")


def conv(g: Row) -> Cotangents:
    nd = g["weight"].ndim - 2
    d, x = batched(nd, g.d, g["input"])
    dx = g.tape.op(
        f"conv{nd}d_input_backward",
        like=x,
        d=d,
        weight=g["weight"].conj(),
        input=x,
        **given(g, *OPTIONS),
    )
    return {
        "input": unbatched(dx, g["input"]),
        "weight": weight_backward(g, nd, d, x.conj()),
        **bias_backward(g, d),
    }


def conv_transpose(g: Row) -> Cotangents:
    nd = g["weight"].ndim - 2
    d, x = batched(nd, g.d, g["input"])
    dx = g.tape.op(
        f"conv{nd}d",
        like=x,
        input=d,
        weight=g["weight"].conj(),
        **given(g, *OPTIONS),
    )
    wide = wide_output(g, nd)
    if wide:
        for dim in range(2, nd + 2):
            size = x.size(dim)
            dx = g.tape.op("narrow", like=dx, input=dx, dim=dim, start=0, length=size)
    return {
        "input": unbatched(dx, g["input"]),
        "weight": weight_backward(g, nd, x.conj(), d, *["output_padding"] * wide),
        **bias_backward(g, d),
    }


def wide_output(g: Row, nd: int) -> bool:
    """Whether output_padding may make room for a window more than the input had."""
    extra, stride = g.arg("output_padding", 0), g.arg("stride", 1)
    if isinstance(extra, Option) or isinstance(stride, Option):
        return True
    pairs = zip(per_axis(extra, nd), per_axis(stride, nd), strict=True)
    return any(e >= s for e, s in pairs)


def per_axis(value: Any, nd: int) -> tuple[Any, ...]:
    many = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return many * nd if len(many) == 1 else many


def weight_backward(g: Row, nd: int, d: Term, x: Term, *more: str) -> Term:
    """`d` against the windows of `x`, by g's options and those named `more`."""
    return g.tape.op(
        f"conv{nd}d_weight_backward",
        like=g["weight"],
        d=d,
        input=x,
        weight=g["weight"],
        **given(g, *OPTIONS, *more),
    )


def convolution(g: Row) -> Cotangents:
    """aten's common form."""
    return conv_transpose(g) if g.const("transposed", False) else conv(g)


def conv_tbc(g: Row) -> Cotangents:
    """conv1d of (time, batch, channel) and (kernel, in, out) arrays."""
    x, d = (t.permute((1, 2, 0)) for t in (g["input"], g.d))
    weight = g["weight"].permute((2, 1, 0))
    pad = {"padding": g.arg("pad")} if g.has("pad") else {}
    dx = g.tape.op(
        "conv1d_input_backward", like=x, d=d, weight=weight.conj(), input=x, **pad
    )
    dw = g.tape.op(
        "conv1d_weight_backward", like=weight, d=d, input=x.conj(), weight=weight, **pad
    )
    return {
        "input": dx.permute((2, 0, 1)),
        "weight": dw.permute((2, 1, 0)),
        **bias_backward(g, d),
    }


def given(g: Row, *names: str) -> dict[str, Any]:
    return {name: g.arg(name) for name in names if g.has(name)}


def batched(nd: int, *terms: Term) -> tuple[Term, ...]:
    """Each with a batch dim in front."""
    return tuple(t if t.ndim == nd + 2 else t.unsqueeze(0) for t in terms)


def unbatched(d: Term, like: Term) -> Term:
    return d if d.ndim == like.ndim else d.squeeze(0)


def bias_backward(g: Row, d: Term) -> Cotangents:
    """The sum over all dims but the channels', if there is a bias."""
    return {"bias": d.sum((0, *range(2, d.ndim)))} if g.has("bias") else {}


VJP: dict[str, Vjp] = {
    **{f"conv{n}d": conv for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": conv_transpose for n in (1, 2, 3)},
    "convolution": convolution,
    "_convolution": convolution,
    "conv_tbc": conv_tbc,
}
