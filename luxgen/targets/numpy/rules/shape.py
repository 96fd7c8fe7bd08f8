"""Shapes: reshaping, permuting, joining, cutting, moving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from luxgen.ir.values import Arg, Leaf
from luxgen.targets.numpy.rules.op import CALL, Op, Refused, Rule, helper
from luxgen.targets.numpy.rules.promotion import kind, np_dtype, promoted


def spread(op: Op, name: str) -> list[str]:
    """Names for the elements of the list argument `name`, added to `op.args`."""
    items = op.args[name]
    if len(items) == 1 and isinstance(items[0], (tuple, list)):
        items = items[0]  # f([a, b]) of a function that also takes f(a, b)
    names = [f"{name}_{k}" for k in range(len(items))]
    op.args.update(zip(names, items, strict=True))
    return names


def axes(op: Op, name: str = "dim") -> tuple[int, ...]:
    """The constant dims given as `name`; empty if none are."""
    dims = op.const(name)
    if dims is None:
        return ()
    return tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)


def axis_text(dims: Sequence[int]) -> str:
    """One dim as itself, several as a tuple."""
    return str(dims[0]) if len(dims) == 1 else str(tuple(dims))


def along(ndim: int, dim: int, index: str) -> str:
    """Index text that takes `index` in dim and all of the others."""
    dim %= ndim
    if dim == ndim - 1 and ndim > 2:
        return f"..., {index}"
    return ", ".join([":"] * dim + [index])


def sizes_text(op: Op, name: str, sizes: Sequence[Arg], given: Sequence[str]) -> str:
    """`sizes` as a tuple's text, with each -1 replaced by the text in `given`."""
    texts = []
    for k, (value, text) in enumerate(zip(sizes, given, strict=True)):
        if value == -1:
            texts.append(text)
        elif isinstance(value, int):
            texts.append(str(value))
        else:
            op.args[f"{name}_{k}"] = value
            texts.append(f"{name}_{k}")
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


def size(op: Op, dim: int) -> str:
    """Text for one size of input; the constant that it is for a parameter."""
    x = op.args["input"]
    return str(x.shape[dim]) if isinstance(x, Leaf) else f"input.shape[{dim}]"


def fixed(x: Arg, dim: int) -> bool:
    """The dim has one size in all traces."""
    return not x.witness or x.shape[dim] == x.witness[dim]


def reshape(name: str) -> Rule:
    def rule(op: Op) -> str:
        if "dtype" in op.args or isinstance(op.args[name], str):
            return f"input.view({np_dtype(op.out_dtype)})"
        sizes = op.args[name]
        many = isinstance(sizes, (tuple, list)) and len(sizes) > 0
        return f"input.reshape({'*' if many else ''}{name})"

    return rule


def flatten(op: Op) -> str:
    if op.ndim("input") == 0:
        return "input.reshape(1)"
    return helper(op) if len(op.args) > 1 else "input.ravel()"


def unflatten(op: Op) -> str:
    sizes = op.args["sizes"]
    if -1 not in sizes:
        return "unflatten(input, dim, sizes)"
    dim = op.const("dim") % op.ndim("input")
    factors = []
    for k, value in enumerate(sizes):
        if value != -1:
            op.args[f"sizes_{k}"] = value
            factors.append(f"sizes_{k}")
    rest = f" // ({' * '.join(factors)})" if factors else ""
    text = sizes_text(op, "sizes", sizes, [size(op, dim) + rest] * len(sizes))
    return f"unflatten(input, dim, {text})"


def permute(op: Op) -> str:
    return "input.transpose(*dims)" if op.ndim("input") else "input"


def transpose(op: Op) -> str:
    if op.ndim("input") == 0:
        return "input"
    dims = {op.const(n) % op.ndim("input") for n in ("dim0", "dim1")}
    if len(dims) == 1:
        return "input"
    return "input.T" if op.ndim("input") == 2 else "input.swapaxes(dim0, dim1)"


def adjoint(op: Op) -> str:
    if op.ndim("input") < 2:
        return of_complex(op, "input")
    text = "input.T" if op.ndim("input") == 2 else "input.swapaxes(-2, -1)"
    return of_complex(op, text)


def of_complex(op: Op, text: str) -> str:
    return f"{text}.conj()" if kind(op.dtype("input")) == 3 else text


def unsqueeze(op: Op) -> str:
    index = along(op.ndim("input") + 1, op.const("dim"), "None")
    return f"input[{index}]"


def squeeze(op: Op) -> str:
    """Without dim as NumPy does; a dim that is never 1 stays."""
    x = op.args["input"]
    if "dim" not in op.args:
        return "input.squeeze()"
    if op.ndim("input") == 0:
        return "input"
    dims = [d % op.ndim("input") for d in axes(op)]
    loose = [d for d in dims if not fixed(x, d)]
    if len(dims) == 1 and loose:
        return "squeeze(input, dim)"
    gone = [d for d in dims if x.shape[d] == 1 or d in loose]
    if loose:  # from the last on: those before keep their places
        text = "input"
        for d in sorted(set(gone), reverse=True):
            text = f"squeeze({text}, {d})"
        return text
    if not gone:
        return "input"
    return f"input.squeeze(axis={axis_text(gone if len(dims) > 1 else axes(op))})"


def expand(name: str) -> Rule:
    """np.broadcast_to; -1 keeps a size."""

    def rule(op: Op) -> str:
        sizes = op.args[name]
        if not isinstance(sizes, (tuple, list)):
            sizes = (sizes,)
        if -1 not in sizes:
            return f"np.broadcast_to(input, {name})"
        new = len(sizes) - op.ndim("input")
        kept = [size(op, d - new) if d >= new else "" for d in range(len(sizes))]
        return f"np.broadcast_to(input, {sizes_text(op, name, sizes, kept)})"

    return rule


def repeat_interleave(op: Op) -> str:
    if "input" not in op.args:
        return "np.repeat(np.arange(len(repeats)), repeats)"
    axis = ", axis=dim" if op.has("dim") else ""
    return f"np.repeat(input, repeats{axis})"


def select(op: Op) -> str:
    return f"input[{along(op.ndim('input'), op.const('dim'), 'index')}]"


def narrow(op: Op) -> str:
    start, length = op.args["start"], op.args["length"]
    if isinstance(start, int) and isinstance(length, int):
        stop = start + length
        text = f"{start or ''}:{'' if start < 0 and stop == 0 else stop}"
    elif isinstance(start, int) and start == 0:
        text = ":length"
    else:
        text = "start:start + length"
    return f"input[{along(op.ndim('input'), op.const('dim'), text)}]"


def part(op: Op) -> str:
    """aten's slice."""
    last = op.args.get("end")
    ends = "" if last is None or last == 2**63 - 1 else "end"
    step = ":step" if "step" in op.args else ""
    index = f"{'start' if op.has('start') else ''}:{ends}{step}"
    return f"input[{along(op.ndim('input'), op.const('dim', 0), index)}]"


def fill_diagonal(op: Op) -> str:
    if op.const("wrap", False) or op.ndim("input") != 2:
        raise Refused("fill_diagonal that wraps, or of more than two dims", "use eye")
    return "fill_diagonal(input, fill_value)"


def slice_scatter(op: Op) -> str:
    index = ":".join(
        n if op.has(n) else "" for n in ("start", "end", *(["step"] * op.has("step")))
    )
    index = along(op.ndim("input"), op.const("dim", 0), index)
    return f"setitem(input, np.s_[{index}], src)"


def select_scatter(op: Op) -> str:
    index = along(op.ndim("input"), op.const("dim"), "index")
    return f"setitem(input, np.s_[{index}], src)"


def roll(op: Op) -> str:
    dims, shifts = axes(op, "dims"), op.args["shifts"]
    if not dims and isinstance(shifts, (tuple, list)) and len(shifts) > 1:
        raise Refused("roll of several shifts without dims", "name shifts= and dims=")
    return f"np.roll(input, shifts{f', axis={axis_text(dims)}' if dims else ''})"


def flip(op: Op) -> str:
    dims = axes(op, "dims")
    return f"np.flip(input, axis={axis_text(dims)})" if dims else "input"


def rot90(op: Op) -> str:
    given = ", k" if "k" in op.args else ""
    dims = f", axes={tuple(op.const('dims'))}" if "dims" in op.args else ""
    return f"np.rot90(input{given}{dims})"


def diagonal(op: Op) -> str:
    given = [f", {n}" for n in ("offset", "dim1", "dim2")]
    if not {"dim1", "dim2"} & op.args.keys():
        given = given[:1] if "offset" in op.args else []
    for name, default in (("offset", 0), ("dim1", 0), ("dim2", 1)):
        op.args.setdefault(name, default)
    return f"input.diagonal({''.join(given)[2:]})"


def banded(name: str, option: str) -> Callable[[Op], str]:
    """np.tril and others with the diagonal as second argument."""

    def rule(op: Op) -> str:
        return f"np.{name}(input{f', {option}' if option in op.args else ''})"

    return rule


def diagflat(op: Op) -> str:
    text = banded("diagflat", "offset")
    return text(op) if op.ndim("input") else "np.atleast_2d(input)"


def triangle_indices(name: str) -> Rule:
    def rule(op: Op) -> str:
        op.args.setdefault("offset", 0)
        text = f"np.stack(np.{name}(row, offset, col))"
        if op.out_dtype == "int64":
            return text
        return f"{text}.astype({np_dtype(op.out_dtype)})"

    return rule


def unfold(op: Op) -> str:
    """Tensor.unfold: windows along one dim, appended as last dim; or F.unfold."""
    if "dimension" not in op.args:
        from luxgen.targets.numpy.rules.resize import im2col

        return im2col(op)
    dim = op.const("dimension") % max(op.ndim("input"), 1)
    if op.ndim("input") == 0:
        return "np.array([input])[:size]"
    step = "" if op.args["step"] == 1 else f"[{', '.join([':'] * dim + ['::step'])}]"
    windows = "np.lib.stride_tricks.sliding_window_view"
    return f"{windows}(input, size, axis={dim}){step}"


def combinations(op: Op) -> str:
    if op.const("r", 2) == 0:
        raise Refused("combinations of no elements", "write an empty tensor")
    return helper(op)


def diff(op: Op) -> str:
    given = [f", {n}={n}" for n in ("prepend", "append") if op.has(n)]
    order = ", n" if "n" in op.args else ""
    if op.args.get("dim", -1) != -1:
        given.insert(0, ", axis=dim")
    return f"np.diff(input{order}{''.join(given)})"


def as_strided(op: Op) -> str:
    """Of a tensor that the tracer knows as contiguous; nothing else is known here."""
    if op.args.get("contiguous"):
        given = {n: v for n, v in op.args.items() if n != "contiguous"}
        return helper(replace(op, args=given), "as_strided")
    raise Refused(
        f"{op.name} reads a tensor's memory layout, which NumPy doesn't share",
        "write it with indexing, unfold or expand",
    )


def gradient(op: Op) -> str:
    """np.gradient, as a tuple whatever the number of dims."""
    dims = axes(op)
    count = len(dims) or op.ndim("input")
    spacing = ""
    if "spacing" in op.args:
        many: Any = op.args["spacing"]
        if isinstance(many, (tuple, list)):
            spacing = "".join(f", {n}" for n in spread(op, "spacing"))
        else:
            spacing = ", spacing"
    axis = f", axis={axis_text(dims)}" if dims else ""
    order = ", edge_order=edge_order" if "edge_order" in op.args else ""
    text = promoted(op, f"np.gradient(input{spacing}{axis}{order})", "input")
    return f"({text},)" if count == 1 else f"tuple({text})"


RULES: dict[str, Rule] = {
    "reshape": reshape("shape"),
    "view": reshape("size"),
    "_unsafe_view": reshape("size"),
    "view_as": "input.reshape(other.shape)",
    "reshape_as": "input.reshape(other.shape)",
    "flatten": flatten,
    "ravel": "input.ravel()",
    "unflatten": unflatten,
    "permute": permute,
    "transpose": transpose,
    "t": "input.T",
    "T": "input.T",
    "mT": "input.swapaxes(-2, -1)",
    "H": adjoint,
    "mH": adjoint,
    "adjoint": adjoint,
    "movedim": "np.moveaxis(input, source, destination)",
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    "expand": expand("size"),
    "broadcast_to": expand("size"),
    "expand_as": "np.broadcast_to(input, other.shape)",
    "repeat": "np.tile(input, repeats)",
    "tile": "np.tile(input, dims)",
    "repeat_interleave": repeat_interleave,
    "select": select,
    "narrow": narrow,
    "slice": part,
    "slice_copy": part,
    "fill_diagonal": fill_diagonal,
    "slice_scatter": slice_scatter,
    "select_scatter": select_scatter,
    "diagonal_scatter": CALL,
    "roll": roll,
    "flip": flip,
    "fliplr": "np.fliplr(input)",
    "flipud": "np.flipud(input)",
    "rot90": rot90,
    "diagonal": diagonal,
    "diag": banded("diag", "diagonal"),
    "diagflat": diagflat,
    "diag_embed": CALL,
    "tril": banded("tril", "diagonal"),
    "triu": banded("triu", "diagonal"),
    "tril_indices": triangle_indices("tril_indices"),
    "triu_indices": triangle_indices("triu_indices"),
    "unfold": unfold,
    "combinations": combinations,
    "diff": diff,
    "gradient": gradient,
    "as_strided": as_strided,
    "as_strided_copy": as_strided,
    "unravel_index": "np.unravel_index(indices, shape)",
}
# A copy is the same where nothing is written in place.
COPIES = (
    "view", "expand", "permute", "transpose", "t", "unsqueeze", "squeeze", "select",
    "diagonal", "narrow", "unfold",
)  # fmt: skip
RULES.update({f"{name}_copy": RULES[name] for name in COPIES})
