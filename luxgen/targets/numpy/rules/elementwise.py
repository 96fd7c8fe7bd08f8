"""Elementwise arithmetic, roots, exponentials, rounding, bits and complex parts."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Refused, Rule, promoted
from luxgen.targets.numpy.rules.promotion import elementwise, kind, np_dtype

ARITHMETIC = {
    "neg": "-input",
    "abs": "np.abs(input)",
    "reciprocal": "1 / input",
    "sqrt": "np.sqrt(input)",
    "rsqrt": "1 / np.sqrt(input)",
    "mul": "input * other",
    "remainder": "input % other",
    "fmod": "np.fmod(input, other)",
    "float_power": "np.float_power(input, exponent)",
    "hypot": "np.hypot(input, other)",
    "gcd": "np.gcd(input, other)",
    "lcm": "np.lcm(input, other)",
    "copysign": "np.copysign(input, other)",
    "nextafter": "np.nextafter(input, other)",
    "frexp": "np.frexp(input)",
    "heaviside": "np.where(input == 0, values, input > 0)",
    "maximum": "np.maximum(input, other)",
    "minimum": "np.minimum(input, other)",
    "fmax": "np.fmax(input, other)",
    "fmin": "np.fmin(input, other)",
    "clamp_min": "np.maximum(input, min)",
    "clamp_max": "np.minimum(input, max)",
}
EXPONENTIAL = {
    "exp": "np.exp(input)",
    "exp2": "np.exp2(input)",
    "expm1": "np.expm1(input)",
    "log": "np.log(input)",
    "log2": "np.log2(input)",
    "log10": "np.log10(input)",
    "log1p": "np.log1p(input)",
}
TRIGONOMETRIC = {
    "sin": "np.sin(input)",
    "cos": "np.cos(input)",
    "tan": "np.tan(input)",
    "asin": "np.arcsin(input)",
    "acos": "np.arccos(input)",
    "atan": "np.arctan(input)",
    "atan2": "np.arctan2(input, other)",
    "sinh": "np.sinh(input)",
    "cosh": "np.cosh(input)",
    "tanh": "np.tanh(input)",
    "asinh": "np.arcsinh(input)",
    "acosh": "np.arccosh(input)",
    "atanh": "np.arctanh(input)",
    "deg2rad": "np.deg2rad(input)",
    "rad2deg": "np.rad2deg(input)",
}
BITWISE = {
    "bitwise_not": "~input",
    "bitwise_and": "input & other",
    "bitwise_or": "input | other",
    "bitwise_xor": "input ^ other",
    "bitwise_left_shift": "input << other",
    "bitwise_right_shift": "input >> other",
}
ROUNDING = {
    "floor": "np.floor(input)",
    "ceil": "np.ceil(input)",
    "trunc": "np.trunc(input)",
    "round": "np.round(input)",
}


def rounding(template: str) -> Rule:
    """Integers round to themselves (NumPy 1.26 would make them floats)."""

    def rule(op: Op) -> str:
        if kind(op.dtype("input")) < 2:
            return "input"
        if op.const("decimals", 0) != 0:
            return "np.round(input, decimals)"
        return template

    return rule


def scaled(symbol: str) -> Rule:
    """input + alpha * other, or with - for +."""

    def rule(op: Op) -> str:
        if op.has("alpha"):
            return promoted(op, f"input {symbol} alpha * other")
        return promoted(op, f"input {symbol} other")

    return rule


def rsub(op: Op) -> str:
    if op.has("alpha"):
        return promoted(op, "other - alpha * input")
    return promoted(op, "other - input")


def div(op: Op) -> str:
    mode = op.const("rounding_mode")
    if mode == "floor":
        return floor_divide(op)
    if mode == "trunc":
        if kind(op.out_dtype) < 2:
            return promoted(op, "trunc_divide(input, other)", "input", "other")
        return promoted(op, "np.trunc(input / other)", "input", "other")
    return promoted(op, "input / other", "input", "other")


def floor_divide(op: Op) -> str:
    return promoted(op, "input // other", "input", "other")


def addcmul(symbol: str) -> Rule:
    """input + value * tensor1 * tensor2, or with / for the second *."""

    def rule(op: Op) -> str:
        if op.has("value"):
            return promoted(op, f"input + value * tensor1 {symbol} tensor2")
        return promoted(op, f"input + tensor1 {symbol} tensor2")

    return rule


def square(op: Op) -> str:
    if op.dtype("input") == "bool":
        return "input.astype(np.int64)"
    return "np.square(input)"


def power(op: Op) -> str:
    """Tensor.__rpow__ calls the exponent `other`."""
    name = "other" if "other" in op.args else "exponent"
    if kind(op.out_dtype) == 1 and op.is_tensor(name):
        base = "input" if op.is_tensor("input") else f"{np_dtype(op.out_dtype)}(input)"
        return promoted(op, f"integer_power({base}, {name})", "input", name)
    if kind(op.dtype("input")) == 2 and op.args[name] in (3, 4):
        square = "np.square(np.square(input))"
        return "cube(input)" if op.args[name] == 3 else square
    return promoted(op, f"input ** {name}")


def ldexp(op: Op) -> str:
    if op.is_tensor("other") and kind(op.dtype("other")) == 1:
        return promoted(op, "np.ldexp(input, other)", "input")
    return promoted(op, "input * np.exp2(other)")


def lerp(op: Op) -> str:
    if op.is_tensor("weight"):
        return "lerp(input, end, weight)"
    if abs(op.const("weight")) < 0.5:
        return promoted(op, "input + weight * (end - input)")
    return promoted(op, "end - (1 - weight) * (end - input)")


def clamp(op: Op) -> str:
    """torch lets max win over min, as np.clip does; NaN stays."""
    if not op.has("max"):
        return promoted(op, "np.maximum(input, min)", "input", "min")
    if not op.has("min"):
        return promoted(op, "np.minimum(input, max)", "input", "max")
    if op.ndim("input") == 0:  # np.clip can't be told to keep a scalar's dtype
        return promoted(op, "np.minimum(np.maximum(input, min), max)")
    return promoted(op, "np.clip(input, min, max)")


def sign(op: Op) -> str:
    """torch gives 0 for NaN."""
    dtype = op.dtype("input")
    if kind(dtype) == 2:
        return "np.nan_to_num(np.sign(input))"
    if kind(dtype) == 3:
        return "sgn(input)"
    return "np.sign(input)" if kind(dtype) else "input"


def frac(op: Op) -> str:
    return promoted(op, "np.fmod(input, 1)")


def sinc(op: Op) -> str:
    """NumPy 1.26 gives float64."""
    text = promoted(op, "np.sinc(input)")
    if op.out_dtype in ("float64", "complex128"):
        return text
    return f"{text}.astype({np_dtype(op.out_dtype)})"


def nan_to_num(op: Op) -> str:
    if kind(op.dtype("input")) < 2:
        return "input"
    given = [f", {n}={n}" for n in ("nan", "posinf", "neginf") if op.has(n)]
    return f"np.nan_to_num(input{''.join(given)})"


def angle(op: Op) -> str:
    """Adding 0 makes -0.0 positive: torch's angle of it is 0, NumPy's pi."""
    if kind(op.dtype("input")) == 3:
        return "np.angle(input)"
    text = promoted(op, "np.angle(input + 0)")
    scalar = op.ndim("input") == 0 and op.out_dtype != "float64"  # NumPy 1.26 widens it
    return f"{np_dtype(op.out_dtype)}({text})" if scalar else text


def real_only(template: str) -> Rule:
    """`template`, refused for complex operands."""

    def rule(op: Op) -> str:
        if kind(op.out_dtype) == 3:
            raise Refused(f"{op.name} of complex numbers", "write it with exp and log")
        return promoted(op, template)

    return rule


def of_complex(template: str, real: str = "input") -> Rule:
    """`template` for complex input, `real` for any other."""

    def rule(op: Op) -> str:
        return template if kind(op.dtype("input")) == 3 else real

    return rule


def polar(op: Op) -> str:
    """Multiplying by 1j would turn an infinite part into NaN in the other one."""
    return "make_complex(abs * np.cos(angle), abs * np.sin(angle))"


def view_as_complex(op: Op) -> str:
    return f"np.ascontiguousarray(input).view({np_dtype(op.out_dtype)})[..., 0]"


def cast(op: Op) -> str:
    """To the dtype of the result; torch's other conversions keep the values."""
    if op.dtype("input") == op.out_dtype:
        return "input"
    if op.out_dtype == "bfloat16":
        raise Refused("NumPy has no bfloat16", "compute in float32: drop the cast")
    if kind(op.dtype("input")) == 3 > kind(op.out_dtype):
        return f"input.real.astype({np_dtype(op.out_dtype)})"
    return f"input.astype({np_dtype(op.out_dtype)})"


def copy(op: Op) -> str:
    """Tensor.copy_: src in the shape and dtype of input."""
    if not op.is_tensor("src"):
        return "np.full_like(input, src)"
    text = "src"
    if op.dtype("src") != op.dtype("input"):
        text = f"src.astype({np_dtype(op.dtype('input'))})"
    if op.shape("src") == op.shape("input"):
        return text
    return f"np.broadcast_to({text}, input.shape)"


CASTS = (
    "to", "type", "type_as", "float", "double", "half", "bfloat16", "long", "int",
    "short", "char", "byte", "bool", "cfloat", "cdouble", "_to_copy", "to_dense",
)  # fmt: skip
SAME = (
    "clone", "detach", "contiguous", "requires_grad", "alias", "data", "cpu", "cuda",
    "pin_memory", "positive", "resolve_conj", "resolve_neg", "alias_copy", "lift_fresh",
    "detach_copy", "lift", "lift_fresh_copy",
)  # fmt: skip

RULES: dict[str, Rule] = {
    **{name: elementwise(text) for name, text in ARITHMETIC.items()},
    **{name: elementwise(text) for name, text in EXPONENTIAL.items()},
    **{name: elementwise(text) for name, text in TRIGONOMETRIC.items()},
    **{name: elementwise(text) for name, text in BITWISE.items()},
    **{name: rounding(text) for name, text in ROUNDING.items()},
    **dict.fromkeys(CASTS, cast),
    **dict.fromkeys(SAME, "input"),
    "add": scaled("+"),
    "sub": scaled("-"),
    "rsub": rsub,
    "pow": power,
    "square": square,
    "div": div,
    "floor_divide": floor_divide,
    "addcmul": addcmul("*"),
    "addcdiv": addcmul("/"),
    "ldexp": ldexp,
    "logaddexp": real_only("np.logaddexp(input, other)"),
    "logaddexp2": real_only("np.logaddexp2(input, other)"),
    "lerp": lerp,
    "clamp": clamp,
    "sign": sign,
    "sgn": sign,
    "frac": frac,
    "sinc": sinc,
    "nan_to_num": nan_to_num,
    "angle": angle,
    "real": of_complex("input.real"),
    "imag": "input.imag",
    "conj": of_complex("np.conj(input)"),
    "conj_physical": of_complex("np.conj(input)"),
    "complex": "make_complex(real, imag)",
    "polar": polar,
    "view_as_real": "np.stack((input.real, input.imag), axis=-1)",
    "view_as_real_copy": "np.stack((input.real, input.imag), axis=-1)",
    "view_as_complex": view_as_complex,
    "view_as_complex_copy": view_as_complex,
    "copy": copy,
    "fill": "np.full_like(input, value)",
    "zero": "np.zeros_like(input)",
}
