"""VJP rows of torch.special, by their names there and in aten (`special_...`)."""

from __future__ import annotations

import math

from luxgen.passes.vjp.elementwise import Derivative, over, times
from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term

SQRT_PI, SQRT_2PI = math.sqrt(math.pi), math.sqrt(2 * math.pi)


def gaussian(x: Term) -> Term:
    return (-(x * x)).unary("exp")


def i1_slope(x: Term, y: Term) -> Term:
    """1/2 at 0."""
    return x.unary("i0") - x.eq(0).where(0.5, y / x.eq(0).where(1, x))


def i1e_slope(x: Term, y: Term) -> Term:
    """1/2 at 0."""
    slope = y / x.eq(0).where(1, x) + x.unary("abs").unary("i1e")
    return x.unary("i0e") - x.eq(0).where(0.5, slope)


FACTORS: dict[str, Derivative] = {
    "erf": lambda x, y: 2 / SQRT_PI * gaussian(x),
    "erfc": lambda x, y: -2 / SQRT_PI * gaussian(x),
    "erfcx": lambda x, y: 2 * x * y - 2 / SQRT_PI,
    "erfinv": lambda x, y: SQRT_PI / 2 * (y * y).unary("exp"),
    "ndtr": lambda x, y: 1 / SQRT_2PI * (-0.5 * x * x).unary("exp"),
    "ndtri": lambda x, y: SQRT_2PI * (0.5 * y * y).unary("exp"),
    "entr": lambda x, y: -(x.unary("log") + 1),
    "lgamma": lambda x, y: x.unary("digamma"),
    "digamma": lambda x, y: x.unary("polygamma", n=1),
    "i0": lambda x, y: x.unary("i1"),
    "i0e": lambda x, y: x.unary("i1e") - x.unary("sign") * y,
    "i1": i1_slope,
    "i1e": i1e_slope,
    "expit": lambda x, y: y * (1 - y),
}
DIVISORS: dict[str, Derivative] = {
    "log_ndtr": lambda x, y: SQRT_2PI / 2 * (x * -math.sqrt(0.5)).unary("erfcx"),
}
OTHER_NAMES = {
    "gammaln": "lgamma",
    "psi": "digamma",
}


def logit(g: Row) -> Cotangents:
    x = g["input"]
    d = g.d / (x * (1 - x))
    if not g.has("eps"):
        return {"input": d}
    outside = (x < g["eps"]) | (x > 1 - g["eps"])
    return {"input": outside.where(0, d)}


def xlogy(name: str, shift: int) -> Vjp:
    """x * log(other + shift); by x 0 where both it and the logarithm's argument are."""

    def row(g: Row) -> Cotangents:
        x, other = g["input"], g["other"]
        found: Cotangents = {}
        if x.is_tensor:
            log = g.tape.elementwise(name, input=g.d, other=other)
            if not (isinstance(other.arg, (int, float)) and other.arg > -shift):
                log = (x.eq(0) & (other <= -shift)).where(0, log)
            found["input"] = log
        if other.is_tensor:
            found["other"] = g.d * x / (other + shift if shift else other)
        return found

    return row


def polygamma(g: Row) -> Cotangents:
    return {"input": g.d * g["input"].unary("polygamma", n=g.const("n") + 1)}


def mvlgamma(g: Row) -> Cotangents:
    x = g["input"]
    slope = x.unary("digamma")
    for k in range(1, g.const("p")):
        slope = slope + (x - k / 2).unary("digamma")
    return {"input": g.d * slope}


def zeta(g: Row) -> Cotangents:
    s, q = g["input"], g["other"]
    slope = -s * g.tape.elementwise("zeta", dtype=g.out.dtype, input=s + 1, other=q)
    return {"input": unknown(g, "input"), "other": g.d * slope}


def igamma(upper: bool) -> Vjp:
    """The density of the gamma distribution, by the point."""

    def row(g: Row) -> Cotangents:
        shape, x = g["input"], g["other"]
        log_x = g.tape.elementwise("xlogy", dtype=g.out.dtype, input=shape - 1, other=x)
        density = (log_x - x - shape.unary("lgamma")).unary("exp")
        d = -g.d if upper else g.d
        return {"input": unknown(g, "input"), "other": d * density}

    return row


def unknown(g: Row, name: str) -> Term | None:
    """A cotangent that nobody knows: refused where the gradient needs it."""
    if not g.is_tensor(name):
        return None
    return g.tape.op("no_derivative", like=g[name], of=g.op.name, argument=name)


ROWS: dict[str, Vjp] = {
    **{name: times(derivative) for name, derivative in FACTORS.items()},
    **{name: over(divisor) for name, divisor in DIVISORS.items()},
    "logit": logit,
    "xlogy": xlogy("xlogy", 0),
    "xlog1py": xlogy("xlog1py", 1),
    "polygamma": polygamma,
    "mvlgamma": mvlgamma,
    "multigammaln": mvlgamma,
    "zeta": zeta,
    "igamma": igamma(upper=False),
    "igammac": igamma(upper=True),
    "gammainc": igamma(upper=False),
    "gammaincc": igamma(upper=True),
}
ROWS |= {name: ROWS[plain] for name, plain in OTHER_NAMES.items()}
VJP: dict[str, Vjp] = ROWS | {f"special_{name}": row for name, row in ROWS.items()}
