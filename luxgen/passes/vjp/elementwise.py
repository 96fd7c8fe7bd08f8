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
    "acosh": lambda x, y: _acosh_divisor(x),
    "atanh": lambda x, y: 1 - x * x,
}


def _acosh_divisor(x: Term) -> Term:
    """The product's branch is the right one of complex numbers."""
    if x.is_complex:
        return (x - 1).unary("sqrt") * (x + 1).unary("sqrt")
    return (x * x - 1).unary("sqrt")


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
    """Tensor.__rpow__ calls the exponent `other`."""
    name = "other" if "other" in g.op.args else "exponent"
    return of_power(g, g["input"], g[name], name)


def float_power(g: Row) -> Cotangents:
    """Computed in double precision."""
    x, exponent = (
        t.to(g.out.dtype) if t.is_tensor else t for t in (g["input"], g["exponent"])
    )
    return of_power(g, x, exponent, "exponent")


def of_power(g: Row, x: Term, exponent: Term, name: str) -> Cotangents:
    """0 ** 0 has derivative 0 by both."""
    found: Cotangents = {}
    if x.is_tensor:
        found["input"] = g.d * _power_input(x, exponent).conj()
    if exponent.is_tensor:
        base = x
        if not x.is_tensor:
            base = g.tape.op(
                "full_like", like=exponent, dtype=g.out.dtype,
                input=exponent, fill_value=x,
            )  # fmt: skip
        size = exponent.part("real") if exponent.is_complex else exponent
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
    return {"input": signed(g.d, g["input"])}


def signed(d: Term, x: Term) -> Term:
    """`d` times the sign of x: the cotangent of x from that of its magnitude."""
    return x.tape.elementwise("abs_backward", dtype=x.dtype, d=d, input=x)


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


def extreme_number(lower: bool) -> Vjp:
    """fmax and fmin: the second argument gets it where it is the one to take."""

    def row(g: Row) -> Cotangents:
        x, y = g["input"], g["other"]
        first = (x <= y if lower else x >= y) | y.ne(y)
        return {"input": first.where(g.d, 0), "other": first.where(0, g.d)}

    return row


def addcmul(g: Row) -> Cotangents:
    d = g.d * g["value"].conj() if g.has("value") else g.d
    first, second = g["tensor1"].conj(), g["tensor2"].conj()
    return {"input": g.d, "tensor1": d * second, "tensor2": d * first}


def addcdiv(g: Row) -> Cotangents:
    d = g.d * g["value"].conj() if g.has("value") else g.d
    first, second = g["tensor1"].conj(), g["tensor2"].conj()
    by_second = d / second
    return {"input": g.d, "tensor1": by_second, "tensor2": -by_second * first / second}


def lerp(g: Row) -> Cotangents:
    weight = g["weight"]
    found = {"input": g.d * (1 - weight).conj(), "end": g.d * weight.conj()}
    if g.is_tensor("weight"):
        found["weight"] = g.d * (g["end"] - g["input"]).conj()
    return found


def remainder(g: Row) -> Cotangents:
    found: Cotangents = {"input": g.d}
    if g.is_tensor("other"):
        quotient = g.tape.elementwise(
            "floor_divide", input=g["input"], other=g["other"]
        )
        found["other"] = -g.d * quotient
    return found


def fmod(g: Row) -> Cotangents:
    found: Cotangents = {"input": g.d}
    if g.is_tensor("other"):
        found["other"] = -g.d * (g["input"] / g["other"]).unary("trunc")
    return found


def hypot(g: Row) -> Cotangents:
    ratio = g.d / g.out
    return {"input": ratio * g["input"], "other": ratio * g["other"]}


def atan2(g: Row) -> Cotangents:
    """0 at the origin."""
    y, x = g["input"], g["other"]
    square = x * x + y * y
    ratio = g.d / square.eq(0).where(1, square)
    return {"input": ratio * x, "other": -ratio * y}


def copysign(g: Row) -> Cotangents:
    """1 or -1 for the first argument, 0 where it is 0."""
    x = g["input"]
    return {"input": g.d * (g.out / x.eq(0).where(1, x))}


def frexp(g: Row) -> Cotangents:
    exponent = -g.outs[1]
    d = g.d_of(0)
    return {"input": g.tape.op("ldexp", like=d, input=d, other=exponent)}


def ldexp(g: Row) -> Cotangents:
    other = g["other"].conj()
    scaled = g.tape.elementwise("ldexp", dtype=g.out.dtype, input=g.d, other=other)
    return {"input": scaled, "other": g.d * g.out.conj() * LN2}


def logaddexp(scale: float) -> Vjp:
    """Of logarithms to the base e ** scale."""

    def row(g: Row) -> Cotangents:
        over = g["input"] - g["other"]
        over = over if scale == 1 else over * scale
        first = over.unary("sigmoid")
        return {"input": g.d * first, "other": g.d * (-over).unary("sigmoid")}

    return row


def sinc(g: Row) -> Cotangents:
    """0 at 0."""
    x = g["input"]
    change = (math.pi * x).unary("cos") - g.out
    return {"input": g.d * (change / x.eq(0).where(1, x)).conj()}


def nan_to_num(g: Row) -> Cotangents:
    x = g["input"]
    finite = g.tape.op("isfinite", like=x, dtype="bool", input=x)
    return {"input": finite.where(g.d, 0)}


CASTS = (
    "to", "type", "type_as", "float", "double", "half", "bfloat16", "cfloat",
    "cdouble", "_to_copy", "to_dense",
)  # fmt: skip
SAME = (
    "clone", "contiguous", "requires_grad", "alias", "cpu", "cuda", "pin_memory",
    "positive", "resolve_conj", "resolve_neg", "alias_copy", "lift_fresh", "lift",
    "lift_fresh_copy",
)  # fmt: skip
FLAT = ("floor", "ceil", "trunc", "round", "sign", "floor_divide", "heaviside")
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
    "addcmul": addcmul,
    "addcdiv": addcdiv,
    "lerp": lerp,
    "remainder": remainder,
    "fmod": fmod,
    "frac": through("input"),
    "float_power": float_power,
    "fmax": extreme_number(lower=False),
    "fmin": extreme_number(lower=True),
    "hypot": hypot,
    "atan2": atan2,
    "copysign": copysign,
    "frexp": frexp,
    "ldexp": ldexp,
    "logaddexp": logaddexp(1),
    "logaddexp2": logaddexp(LN2),
    "sinc": sinc,
    "nan_to_num": nan_to_num,
    "deg2rad": lambda g: {"input": g.d * (math.pi / 180)},
    "rad2deg": lambda g: {"input": g.d * (180 / math.pi)},
    "copy": through("src"),
    "fill": through("value"),
}
