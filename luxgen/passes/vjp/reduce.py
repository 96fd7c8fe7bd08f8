"""VJP rows of reductions."""

from __future__ import annotations

from typing import Any

from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term

LAST = ("mode", "kthvalue")  # without dim they take the last one


def dims_of(g: Row) -> tuple[int, ...] | None:
    """The dims that are reduced, none of them negative; None for all and none left."""
    dim, ndim = g.const("dim"), g["input"].ndim
    if dim is None and g.op.name in LAST:
        dim = -1
    if dim is None or dim in ((), []) or ndim == 0:
        return None
    given = (dim,) if isinstance(dim, int) else dim
    if len(given) == ndim and not g.const("keepdim", False):
        return None
    return tuple(sorted(d % ndim for d in given))


def kept(g: Row, term: Term) -> Term:
    """`term`, which looks like the result, with the reduced dims as ones."""
    if not g.const("keepdim", False):
        for dim in dims_of(g) or ():
            term = term.unsqueeze(dim)
    return term


def count(g: Row) -> Term:
    """How many elements are reduced to one."""
    x, dims = g["input"], dims_of(g)
    if dims is None:
        return x.numel
    n = x.size(dims[0])
    for dim in dims[1:]:
        n = n * x.size(dim)
    return n


def total(g: Row) -> Cotangents:
    return {"input": kept(g, g.d).expand_as(g["input"])}


def mean(g: Row) -> Cotangents:
    return {"input": (kept(g, g.d) / count(g)).expand_as(g["input"])}


def extreme(g: Row) -> Cotangents:
    """amax and amin, max() and min(): equal elements share the cotangent."""
    return {"input": shared(g, g.out, g.d)}


def shared(g: Row, out: Term, d: Term) -> Term:
    """`d` in equal parts for the elements that equal `out`."""
    x, dims = g["input"], dims_of(g)
    chosen = x.eq(kept(g, out)).to(x.dtype)
    return chosen * (kept(g, d) / chosen.sum(dims, keepdim=dims is not None))


def max_or_min(lower: bool) -> Vjp:
    """Of all, elementwise of two tensors, or with indices of one dim."""

    def row(g: Row) -> Cotangents:
        if g.has("other"):
            from luxgen.passes.vjp.elementwise import extreme as of_two

            return of_two(lower)(g)
        return picked(g) if "dim" in g.op.args else extreme(g)

    return row


def picked(g: Row) -> Cotangents:
    """The cotangent goes to the index that was returned."""
    x = g["input"]
    if x.ndim == 0:
        return {"input": g.d}
    src, index, dim = g.d, g.outs[1], g.const("dim", -1) % x.ndim
    if not g.const("keepdim", False):
        src, index = src.unsqueeze(dim), index.unsqueeze(dim)
    return {
        "input": g.tape.op(
            "scatter", like=x, input=x.zeros_like(), dim=dim, index=index, src=src
        )
    }


def centred(g: Row) -> Term:
    x, dims = g["input"], dims_of(g)
    return x - x.mean(dims, keepdim=dims is not None)


def freedom(g: Row) -> Term:
    """What the sum of squares is divided by."""
    given = g.const("correction")
    correction = int(g.const("unbiased", True)) if given is None else given
    return count(g) - correction if correction else count(g)


def variance(g: Row) -> Cotangents:
    return {"input": 2 * kept(g, g.d) * centred(g) / freedom(g)}


def deviation(g: Row) -> Cotangents:
    """0 where the deviation is."""
    safe = g.out.eq(0).where(1, g.out)
    return {"input": kept(g, g.d / safe) * centred(g) / freedom(g)}


def with_mean(spread: Vjp) -> Vjp:
    """std_mean and var_mean."""

    def row(g: Row) -> Cotangents:
        if g.given[1] is None:
            return spread(g)
        level = kept(g, g.given[1]) / count(g)
        if g.given[0] is None:
            return {"input": level.expand_as(g["input"])}
        return {"input": spread(g)["input"] + level}

    return row


def logsumexp(g: Row) -> Cotangents:
    x = g["input"]
    return {"input": kept(g, g.d) * (x - kept(g, g.out)).unary("exp").conj()}


def aminmax(g: Row) -> Cotangents:
    pairs = zip(g.outs, g.given, strict=True)
    parts = [shared(g, out, d) for out, d in pairs if d is not None]
    return {"input": parts[0] + parts[1] if len(parts) == 2 else parts[0]}


def median(g: Row) -> Cotangents:
    """Without dim, equal elements share the cotangent."""
    return picked(g) if "dim" in g.op.args else extreme(g)


def product(g: Row) -> Cotangents:
    dims = dims_of(g)
    args: dict[str, Any] = {} if dims is None else {"dim": dims[0]}
    d, x = kept(g, g.d), g["input"].to(g.out.dtype).conj()
    return {"input": g.tape.op("prod_backward", like=x, d=d, input=x, **args)}


def nansum(g: Row) -> Cotangents:
    x = g["input"]
    return {"input": x.eq(x).where(kept(g, g.d), 0)}


def nanmean(g: Row) -> Cotangents:
    x, dims = g["input"], dims_of(g)
    number = x.eq(x)
    counted = number.to(g.out.dtype).sum(dims, keepdim=dims is not None)
    return {"input": number.where(kept(g, g.d) / counted, 0)}


def quantile(g: Row) -> Cotangents:
    x, dims = g["input"], dims_of(g)
    many = g.is_tensor("q") and g["q"].ndim > 0
    d = g.d
    if not g.const("keepdim", False):
        for dim in dims or range(x.ndim):
            d = d.unsqueeze(dim + many)
    args = {"d": d, "input": x, "q": g["q"], **g.others("input", "q", "keepdim")}
    if x.ndim == 0:
        args.pop("dim", None)
    if g.op.name == "nanquantile":
        args["ignore_nan"] = True
    found = {"input": g.tape.op("quantile_backward", like=x, **args)}
    if g.is_tensor("q"):
        found["q"] = g.tape.op("quantile_q_backward", like=g["q"], **args)
    return found


def sum_to_size(g: Row) -> Cotangents:
    return {"input": g.d.expand_as(g["input"])}


def trace(g: Row) -> Cotangents:
    x = g["input"]
    return {"input": g.tape.op("trace_backward", like=x, d=g.d, input=x)}


def covariance(g: Row) -> Cotangents:
    x = g["input"]
    args = {"d": g.d, "input": x, **g.others("input")}
    found = {"input": g.tape.op("cov_backward", like=x, **args)}
    if g.has("aweights"):
        found["aweights"] = g.tape.op(
            "cov_weights_backward", like=g["aweights"], y=g.out, **args
        )
    return found


def corrcoef(g: Row) -> Cotangents:
    x = g["input"]
    return {"input": g.tape.op("corrcoef_backward", like=x, d=g.d, input=x, y=g.out)}


def zero(g: Row) -> Cotangents:
    return {}


VJP: dict[str, Vjp] = {
    "sum": total,
    "mean": mean,
    "amax": extreme,
    "amin": extreme,
    "max": max_or_min(lower=False),
    "min": max_or_min(lower=True),
    "var": variance,
    "std": deviation,
    "std_mean": with_mean(deviation),
    "var_mean": with_mean(variance),
    "logsumexp": logsumexp,
    "aminmax": aminmax,
    "median": median,
    "nanmedian": median,
    "mode": picked,
    "kthvalue": picked,
    "prod": product,
    "nansum": nansum,
    "nanmean": nanmean,
    "quantile": quantile,
    "nanquantile": quantile,
    "sum_to_size": sum_to_size,
    "trace": trace,
    "cov": covariance,
    "corrcoef": corrcoef,
    "histc": zero,
}
