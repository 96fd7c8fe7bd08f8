"""VJP rows of elementwise arithmetic, powers, exponentials and trigonometry."""

from __future__ import annotations

import math
from collections.abc import Callable

from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term

Derivative = Callable[[Term, Term], Term]
"""Of one input and the result."""

LN2, LN10 = math.log(2), math.log(10)

# Derivatives that the cotangent is multiplied by.
FACTORS: dict[str, Derivative] = {
    "exp": lambda x, y: y,
    "exp2": lambda x, y: y * LN2,
    "expm1": lambda x, y: y + 1,
    "square": lambda x, y: 2 * x,
    "rsqrt": lambda x, y: -0.5 * y * y * y,
    "reciprocal": lambda x, y: -(y * y),
    "sin": lambda x, y: x.unary("cos"),
    "cos": lambda x, y: -x.unary("sin"),
    "tan": lambda x, y: 1 + y * y,
    "sinh": lambda x, y: x.unary("cosh"),
    "cosh": lambda x, y: x.unary("sinh"),
    "tanh": lambda x, y: 1 - y * y,
}
# Derivatives 1 / f: what the cotangent is divided by.
DIVISORS: dict[str, Derivative] = {
    "log": lambda x, y: x,
    "log2": lambda x, y: x * LN2,
    "log10": lambda x, y: x * LN10,
    "log1p": lambda x, y: x + 1,
    "sqrt": lambda x, y: 2 * y,
    "asin": lambda x, y: (1 - x * x).unary("sqrt"),
    "acos": lambda x, y: -(1 - x * x).unary("sqrt"),
    "atan": lambda x, y: x * x + 1,
    "asinh": lambda x, y: (x * x + 1).unary("sqrt"),
    "acosh": lambda x, y: (x - 1).unary("sqrt") * (x + 1).unary("sqrt"),
    "atanh": lambda x, y: 1 - x * x,
}


def times(derivative: Derivative) -> Vjp:
    return lambda g: {"input": g.d * derivative(g["input"], g.out).conj()}


def over(divisor: Derivative) -> Vjp:
    return lambda g: {"input": g.d / divisor(g["input"], g.out).conj()}


def through(*names: str) -> Vjp:
    """The cotangent itself for the arguments `names`."""
    return lambda g: {name: g.d for name in names}


def zero(g: Row) -> Cotangents:
    """Constant almost everywhere."""
    return {}


def scaled(g: Row, term: Term) -> Term:
    return term * g["alpha"].conj() if g.has("alpha") else term


def add(g: Row) -> Cotangents:
    return {"input": g.d, "other": scaled(g, g.d)}


def sub(g: Row) -> Cotangents:
    return {"input": g.d, "other": -scaled(g, g.d)}


def rsub(g: Row) -> Cotangents:
    return {"input": -scaled(g, g.d), "other": g.d}


def mul(g: Row) -> Cotangents:
    return {"input": g.d * g["other"].conj(), "other": g.d * g["input"].conj()}


def div(g: Row) -> Cotangents:
    if g.const("rounding_mode") is not None:
        return {}
    other = g["other"]
    return {"input": g.d / other.conj(), "other": -g.d * (g.out / other).conj()}


def power(g: Row) -> Cotangents:
    """0 ** 0 has derivative 0 in both; Tensor.__rpow__ calls the exponent `other`."""
    name = "other" if "other" in g.op.args else "exponent"
    x, exponent = g["input"], g[name]
    found: Cotangents = {}
    if g.is_tensor("input"):
        found["input"] = g.d * _power_input(x, exponent).conj()
    if g.is_tensor(name):
        base = x if x.is_tensor else g.tape.op("full_like", exponent, dtype=g.out.dtype,
                                               input=exponent, fill_value=x)  # fmt: skip
        size = exponent.unary("real") if exponent.is_complex else exponent
        safe = (base.eq(0) & (size >= 0)).where(1, base)  # 0 * log(1), not 0 * log(0)
        found[name] = g.d * (g.out * safe.unary("log")).conj()
    return found


def _power_input(x: Term, exponent: Term) -> Term:
    if exponent.is_tensor:
        return exponent * x ** exponent.eq(0).where(1, exponent - 1)
    if exponent.arg == 0:
        return x.zeros_like()
    if exponent.arg == 2:
        return 2 * x
    return exponent * x ** (exponent - 1)


def absolute(g: Row) -> Cotangents:
    x = g["input"]
    return {"input": g.tape.elementwise("abs_backward", dtype=x.dtype, d=g.d, input=x)}


def extreme(lower: bool) -> Vjp:
    """maximum and minimum: equal elements share the cotangent."""

    def row(g: Row) -> Cotangents:
        x, y = g["input"], g["other"]
        tied, less, more = x.eq(y), x < y, x > y
        if lower:
            less, more = more, less
        half = g.d / 2
        return {
            "input": tied.where(half, less.where(0, g.d)),
            "other": tied.where(half, more.where(0, g.d)),
        }

    return row


def clamp(g: Row) -> Cotangents:
    """The bounds themselves are inside."""
    x, found = g["input"], {}
    inside, below, above = None, None, None
    if g.has("min"):
        inside, below = x >= g["min"], x < g["min"]
    if g.has("max"):
        within, above = x <= g["max"], x > g["max"]
        inside = within if inside is None else inside & within
    if g.is_tensor("min") and g.has("max"):
        assert below is not None
        below = below & (g["min"] < g["max"])
    if g.is_tensor("max") and g.has("min"):
        assert above is not None
        above = above | (g["max"] < g["min"])
    for name, mask in (("input", inside), ("min", below), ("max", above)):
        if g.is_tensor(name) and mask is not None:
            found[name] = mask.where(g.d, 0)
    return found


CASTS = (
    "to", "type", "type_as", "float", "double", "half", "bfloat16", "cfloat",
    "cdouble", "_to_copy", "to_dense",
)  # fmt: skip
SAME = (
    "clone", "contiguous", "requires_grad", "alias", "cpu", "cuda", "pin_memory",
    "positive", "resolve_conj", "resolve_neg", "alias_copy", "lift_fresh", "lift",
    "lift_fresh_copy",
)  # fmt: skip
FLAT = ("floor", "ceil", "trunc", "round", "sign", "floor_divide")
STOPPED = ("detach", "data", "detach_copy")

VJP: dict[str, Vjp] = {
    **{name: times(derivative) for name, derivative in FACTORS.items()},
    **{name: over(divisor) for name, divisor in DIVISORS.items()},
    **dict.fromkeys((*CASTS, *SAME), through("input")),
    **dict.fromkeys((*FLAT, *STOPPED, "zero"), zero),
    "add": add,
    "sub": sub,
    "rsub": rsub,
    "mul": mul,
    "div": div,
    "neg": lambda g: {"input": -g.d},
    "pow": power,
    "abs": absolute,
    "maximum": extreme(lower=False),
    "minimum": extreme(lower=True),
    "clamp": clamp,
    "clamp_min": clamp,
    "clamp_max": clamp,
    "copy": through("src"),
    "fill": through("value"),
}
