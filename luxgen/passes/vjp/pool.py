"""VJP rows of pooling and unpooling."""

from __future__ import annotations

import math
from typing import Any

from luxgen.ir.values import Value
from luxgen.passes.vjp.row import Cotangents, NoGradient, Row, Vjp
from luxgen.passes.vjp.terms import Term


def max_pool(nd: int) -> Vjp:
    def row(g: Row) -> Cotangents:
        options = g.others("input", "return_indices")
        name, x = f"max_pool{nd}d_backward", g["input"]
        return {"input": g.tape.op(name, like=x, d=g.d, input=x, **options)}

    return row


def avg_pool(nd: int) -> Vjp:
    def row(g: Row) -> Cotangents:
        return {"input": spread(g, nd, g.d)}

    return row


def spread(g: Row, nd: int, d: Term) -> Term:
    """Cotangent of what an average pooling with g's windows read."""
    x, options = g["input"], g.others("input", "norm_type")
    return g.tape.op(f"avg_pool{nd}d_backward", like=x, d=d, input=x, **options)


def lp_pool(nd: int) -> Vjp:
    """(mean of x ** p, times the window's volume) ** (1 / p); 0 where the sum is 0."""

    def row(g: Row) -> Cotangents:
        x, p = g["input"], g["norm_type"]
        sizes = g.const("kernel_size")
        volume = sizes**nd if isinstance(sizes, int) else math.prod(sizes)
        if not isinstance(p.arg, (int, float)):
            raise NoGradient(f"{g.op.name}: norm_type must be a constant for gradients")
        options = g.others("input", "norm_type")
        mean = g.tape.op(f"avg_pool{nd}d", like=g.out, input=x**p, **options)
        empty = mean.eq(0)
        total = empty.where(1.0, mean) * volume
        slope = empty.where(0.0, g.d * total ** (1 / p.arg - 1) * volume)
        rest = x if p.arg == 2 else x ** (p.arg - 1)
        return {"input": spread(g, nd, slope) * rest}

    return row


def adaptive_avg_pool(nd: int) -> Vjp:
    def row(g: Row) -> Cotangents:
        x, size = g["input"], g.arg("output_size")
        if size == 1 or size in ((1,) * nd, [1] * nd):
            points = x.size(-1)
            for k in range(2, nd + 1):
                points = x.size(-k) * points
            return {"input": (g.d / points).expand_as(x)}
        name = f"adaptive_avg_pool{nd}d_backward"
        return {"input": g.tape.op(name, like=x, d=g.d, input=x)}

    return row


def adaptive_max_pool(nd: int) -> Vjp:
    def row(g: Row) -> Cotangents:
        name = f"adaptive_max_pool{nd}d_with_indices"
        return at_indices(g, nd, name, g.others("return_indices"))

    return row


def fractional_max_pool(nd: int) -> Vjp:
    def row(g: Row) -> Cotangents:
        name = f"fractional_max_pool{nd}d_with_indices"
        return at_indices(g, nd, name, g.others("return_indices"))

    return row


def at_indices(g: Row, nd: int, name: str, args: dict[str, Any]) -> Cotangents:
    """d where the maxima came from; `name` tells where, if the op itself didn't."""
    x, outs = g["input"], g.outs
    if len(outs) == 1:
        places = Value("int64", g.out.shape, g.out.witness)
        best = Value(g.out.dtype, g.out.shape, g.out.witness)
        outs = g.tape.emit(name, args, (best, places))
    backward = f"pool{nd}d_indices_backward"
    dx = g.tape.op(backward, like=x, d=g.d, indices=outs[1], input=x)
    return {"input": dx}


def max_unpool(nd: int) -> Vjp:
    def row(g: Row) -> Cotangents:
        x, name = g["input"], f"max_unpool{nd}d_backward"
        return {"input": g.tape.op(name, like=x, d=g.d, indices=g["indices"])}

    return row


def max_pool_backward(g: Row) -> Cotangents:
    """What was put at the maxima's places is read there."""
    d, indices = g["grad_output"], g["indices"]
    return {
        "grad_output": g.tape.op(
            "max_unpool2d_backward", like=d, d=g.d, indices=indices
        )
    }


DIMS = (1, 2, 3)
VJP: dict[str, Vjp] = {
    **{f"max_pool{n}d": max_pool(n) for n in DIMS},
    **{f"max_pool{n}d_with_indices": max_pool(n) for n in DIMS},
    "max_pool2d_with_indices_backward": max_pool_backward,
    **{f"avg_pool{n}d": avg_pool(n) for n in DIMS},
    **{f"lp_pool{n}d": lp_pool(n) for n in DIMS},
    **{f"adaptive_avg_pool{n}d": adaptive_avg_pool(n) for n in DIMS},
    **{f"_adaptive_avg_pool{n}d": adaptive_avg_pool(n) for n in (2, 3)},
    **{f"adaptive_max_pool{n}d": adaptive_max_pool(n) for n in DIMS},
    **{f"adaptive_max_pool{n}d_with_indices": adaptive_max_pool(n) for n in DIMS},
    **{f"fractional_max_pool{n}d": fractional_max_pool(n) for n in (2, 3)},
    **{f"fractional_max_pool{n}d_with_indices": fractional_max_pool(n) for n in (2, 3)},
    **{f"max_unpool{n}d": max_unpool(n) for n in DIMS},
}
