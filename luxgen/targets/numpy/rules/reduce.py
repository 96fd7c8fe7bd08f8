"""Reductions and running reductions."""

from __future__ import annotations

from collections.abc import Callable

from luxgen.targets.numpy.rules.op import Op, Refused, Rule, helper, promoted
from luxgen.targets.numpy.rules.promotion import kind, np_dtype
from luxgen.targets.numpy.rules.shape import axes, axis_text


def options(op: Op, *more: str) -> str:
    """The axis, keepdims and further keywords of a NumPy reduction."""
    dims = axes(op) if op.ndim("input") else ()
    given = [f"axis={axis_text(dims)}"] if dims else []
    if op.const("keepdim", False) and op.ndim("input"):
        given.append("keepdims=True")
    return ", ".join([*given, *more])


def reduction(name: str) -> Rule:
    """A method of arrays, computed in the op's dtype."""

    def rule(op: Op) -> str:
        return f"input.{name}({options(op, *_dtype(op))})"

    return rule


def function(name: str) -> Rule:
    """The same as a function, for what arrays have no method for."""

    def rule(op: Op) -> str:
        given = [o for o in (options(op, *_dtype(op)),) if o]
        return f"np.{name}({', '.join(['input', *given])})"

    return rule


def _dtype(op: Op) -> tuple[str, ...]:
    """dtype= where NumPy would take another than the op has."""
    given = op.dtype("input")
    natural = given if kind(given) > 1 else "uint64" if given == "uint8" else "int64"
    return () if natural == op.out_dtype else (f"dtype={np_dtype(op.out_dtype)}",)


def truth(name: str) -> Rule:
    """all and any: bool, but uint8 of uint8."""

    def rule(op: Op) -> str:
        text = f"input.{name}({options(op)})"
        return text if op.out_dtype == "bool" else f"{text}.astype(np.uint8)"

    return rule


def extreme(name: str) -> Rule:
    """max and min: of all, elementwise of two tensors, or with indices of one dim."""

    def rule(op: Op) -> str:
        if "other" in op.args:
            return promoted(op, f"np.{name}imum(input, other)")
        if "dim" not in op.args:
            return f"input.{name}()"
        if op.ndim("input") == 0:
            return "(input, np.int64(0))"
        given = options(op)
        return f"(input.{name}({given}), input.arg{name}({given}))"

    return rule


def plain(name: str) -> Rule:
    return lambda op: f"input.{name}({options(op)})"


def spread_of(name: str) -> Rule:
    """std and var: unbiased unless told otherwise."""

    def rule(op: Op) -> str:
        return f"input.{name}({options(op, *ddof(op))})"

    return rule


def ddof(op: Op) -> tuple[str, ...]:
    correction = op.const("correction")
    if correction is None:
        correction = int(op.const("unbiased", True))
    return (f"ddof={correction}",) if correction else ()


def with_mean(name: str) -> Rule:
    def rule(op: Op) -> str:
        spread = f"input.{name}({options(op, *ddof(op))})"
        return f"({spread}, input.mean({options(op)}))"

    return rule


def count_nonzero(op: Op) -> str:
    if not axes(op) or op.ndim("input") == 0:
        return "(input != 0).sum()"
    return f"np.count_nonzero(input, {options(op)})"


def running(name: str) -> Rule:
    """float32 accumulates in float64 and is rounded once, as torch does."""

    def rule(op: Op) -> str:
        dtype = op.out_dtype
        if op.ndim("input") == 0:
            same = op.dtype("input") == dtype
            return "input" if same else f"input.astype({np_dtype(dtype)})"
        wide = {"float32": "float64", "float16": "float32", "complex64": "complex128"}
        if dtype in wide:
            text = f"np.{name}(input, axis=dim, dtype=np.{wide[dtype]})"
            return f"{text}.astype(np.{dtype})"
        options = "".join(f", {d}" for d in _dtype(op))
        return f"np.{name}(input, axis=dim{options})"

    return rule


def indexed(rule: Callable[[Op], str]) -> Rule:
    """Values and indices; of a 0-d tensor itself and 0."""

    def lift(op: Op) -> str:
        if op.ndim("input") == 0:
            return "(input, np.int64(0))"
        return rule(op)

    return lift


def median(name: str) -> Rule:
    def rule(op: Op) -> str:
        if "dim" not in op.args:
            return f"{name}(input.reshape(-1), 0)[0]"
        return helper(op, name)

    def lift(op: Op) -> str:
        if op.ndim("input") == 0 and "dim" in op.args:
            return "(input, np.int64(0))"
        return rule(op)

    return lift


def quantile(name: str) -> Rule:
    def rule(op: Op) -> str:
        method = op.const("interpolation", "linear")
        more = [] if method == "linear" else [f'method="{method}"']
        given = ", ".join(filter(None, ["input", "q", options(op, *more)]))
        return f"np.{name}({given}).astype({np_dtype(op.out_dtype)})"

    return rule


def logcumsumexp(op: Op) -> str:
    if kind(op.out_dtype) == 3:
        raise Refused("logcumsumexp of complex numbers", "write it with exp and cumsum")
    return helper(op) if op.ndim("input") else "input"


def sum_to_size(op: Op) -> str:
    sizes = op.args["size"]
    sizes = tuple(sizes) if isinstance(sizes, (tuple, list)) else (sizes,)
    lead = op.ndim("input") - len(sizes)
    dims = [*range(lead), *(lead + k for k, n in enumerate(sizes) if n == 1)]
    if not dims:
        same = op.dtype("input") == op.out_dtype
        return "input" if same else f"input.astype({np_dtype(op.out_dtype)})"
    dtype = "".join(f", {d}" for d in _dtype(op))
    if not sizes:
        return f"input.sum({dtype[2:]})"
    text = f"input.sum(axis={axis_text(dims)}, keepdims=True{dtype})"
    if lead == 0:
        return text
    return f"{text}[{', '.join('0' * lead)}]"


def bincount(op: Op) -> str:
    given = [f", {n}={n}" for n in ("weights", "minlength") if op.has(n)]
    text = f"np.bincount(input{''.join(given)})"
    if op.out_dtype in ("int64", "float64"):
        return text
    return f"{text}.astype({np_dtype(op.out_dtype)})"


def covariance(op: Op) -> str:
    names = {"correction": "ddof", "fweights": "fweights", "aweights": "aweights"}
    given = "".join(f", {n}={a}" for a, n in names.items() if a in op.args)
    return f"np.cov(input{given}).astype({np_dtype(op.out_dtype)})"


def corrcoef(op: Op) -> str:
    return f"np.corrcoef(input).astype({np_dtype(op.out_dtype)})"


def trapezoidal(name: str) -> Rule:
    def rule(op: Op) -> str:
        if op.dtype("y") == "uint8":
            raise Refused(f"{op.name} of bytes, which wraps", "cast to float first")
        given = [f", {n}={n}" for n in ("dx", "dim") if n in op.args]
        x = ", x" if op.has("x") else ""
        return promoted(op, f"{name}(y{x}{''.join(given)})", "y", "x")

    return rule


RULES: dict[str, Rule] = {
    "sum": reduction("sum"),
    "prod": reduction("prod"),
    "mean": reduction("mean"),
    "nansum": function("nansum"),
    "nanmean": function("nanmean"),
    "all": truth("all"),
    "any": truth("any"),
    "max": extreme("max"),
    "min": extreme("min"),
    "amax": plain("max"),
    "amin": plain("min"),
    "argmax": plain("argmax"),
    "argmin": plain("argmin"),
    "aminmax": lambda op: f"(input.min({options(op)}), input.max({options(op)}))",
    "std": spread_of("std"),
    "var": spread_of("var"),
    "std_mean": with_mean("std"),
    "var_mean": with_mean("var"),
    "count_nonzero": count_nonzero,
    "median": median("median"),
    "nanmedian": median("nanmedian"),
    "mode": indexed(helper),
    "quantile": quantile("quantile"),
    "nanquantile": quantile("nanquantile"),
    "cumsum": running("cumsum"),
    "cumprod": running("cumprod"),
    "cummax": indexed(helper),
    "cummin": indexed(helper),
    "logcumsumexp": logcumsumexp,
    "sum_to_size": sum_to_size,
    "trace": lambda op: f"np.trace(input{''.join(f', {d}' for d in _dtype(op))})",
    "bincount": bincount,
    "histc": helper,
    "cov": covariance,
    "corrcoef": corrcoef,
    "trapezoid": trapezoidal("trapezoid"),
    "trapz": trapezoidal("trapezoid"),
    "cumulative_trapezoid": trapezoidal("cumulative_trapezoid"),
}
