"""New arrays: constants, ranges, identity."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Refused, Rule
from luxgen.targets.numpy.rules.promotion import kind, np_dtype, number_kind


def filled(name: str) -> Rule:
    """np.zeros(size, dtype); torch.empty's are zeros: no run reads what was there."""
    return lambda op: f"np.{name}(size, {np_dtype(op.out_dtype)})"


def full(op: Op) -> str:
    return f"np.full(size, fill_value, {np_dtype(op.out_dtype)})"


def like(name: str) -> Rule:
    def rule(op: Op) -> str:
        value = ", fill_value" if name == "full_like" else ""
        same = op.dtype("input") == op.out_dtype
        dtype = "" if same else f", dtype={np_dtype(op.out_dtype)}"
        return f"np.{name}(input{value}{dtype})"

    return rule


def arange(op: Op) -> str:
    """Steps that aren't whole are summed in float64 and rounded once."""
    names = [n for n in ("start", "end", "step") if n in op.args]
    if "start" not in op.args and "step" in op.args:
        op.args["start"] = 0
        names = ["start", "end", "step"]
    for name in names:  # torch cuts the bounds of int64 to integers first
        if op.out_dtype == "int64" and isinstance(op.args[name], float):
            op.args[name] = int(op.args[name])
    whole = all(number_kind(op.args[n]) <= 1 for n in names)
    given = ", ".join(names)
    if whole and op.out_dtype == "int64":
        return f"np.arange({given})"
    if whole and kind(op.out_dtype) == 2:
        return f"np.arange({given}, dtype={np_dtype(op.out_dtype)})"
    if whole:
        return f"np.arange({given}).astype({np_dtype(op.out_dtype)})"
    if kind(op.out_dtype) < 2:
        raise Refused("arange of floats as integers", "give whole numbers")
    text = f"np.arange({given})"
    if op.out_dtype == "float64":
        return text
    return f"{text}.astype({np_dtype(op.out_dtype)})"


def linspace(op: Op) -> str:
    text = "np.linspace(start, end, steps"
    if kind(op.out_dtype) < 2:
        raise Refused("linspace of integers", "round a float linspace")
    dtype = "" if op.out_dtype == "float64" else f", dtype={np_dtype(op.out_dtype)}"
    return f"{text}{dtype})"


def logspace(op: Op) -> str:
    base = ", base=base" if "base" in op.args else ""
    if kind(op.out_dtype) < 2:
        raise Refused("logspace of integers", "round a float logspace")
    dtype = "" if op.out_dtype == "float64" else f", dtype={np_dtype(op.out_dtype)}"
    return f"np.logspace(start, end, steps{base}{dtype})"


def eye(op: Op) -> str:
    m = ", m" if "m" in op.args else ""
    return f"np.eye(n{m}, dtype={np_dtype(op.out_dtype)})"


def tensor(name: str) -> Rule:
    """From Python data: NumPy would take float64 where torch takes float32."""

    def rule(op: Op) -> str:
        if op.is_tensor(name):
            same = op.dtype(name) == op.out_dtype
            return name if same else f"{name}.astype({np_dtype(op.out_dtype)})"
        return f"np.array({name}, {np_dtype(op.out_dtype)})"

    return rule


def vander(op: Op) -> str:
    n = ", N" if op.has("N") else ""
    increasing = ", increasing=True" if op.args.get("increasing") else ""
    text = f"np.vander(x{n}{increasing})"
    if op.out_dtype in ("int64", "float64"):
        return text
    return f"{text}.astype({np_dtype(op.out_dtype)})"


RULES: dict[str, Rule] = {
    "zeros": filled("zeros"),
    "ones": filled("ones"),
    "empty": filled("zeros"),
    "empty_permuted": filled("zeros"),
    "full": full,
    "zeros_like": like("zeros_like"),
    "ones_like": like("ones_like"),
    "empty_like": like("zeros_like"),
    "full_like": like("full_like"),
    "new_zeros": filled("zeros"),
    "new_ones": filled("ones"),
    "new_empty": filled("zeros"),
    "new_full": full,
    "arange": arange,
    "linspace": linspace,
    "logspace": logspace,
    "eye": eye,
    "tensor": tensor("data"),
    "as_tensor": tensor("data"),
    "asarray": tensor("data"),
    "from_numpy": tensor("data"),
    "new_tensor": tensor("data"),
    "scalar_tensor": tensor("s"),
    "vander": vander,
}
