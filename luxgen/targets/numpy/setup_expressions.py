"""NumPy expressions for what a constructor computes: the values of `setup`."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from luxgen.ir.initial import (
    Arg,
    Call,
    Draw,
    Fill,
    Literal,
    Node,
    Path,
    Permute,
    Pick,
    Read,
    Ref,
    Reshape,
    Span,
    Spread,
    Write,
)
from luxgen.targets.numpy.expression import substitute

Show = Callable[[int], ast.expr]
"""Prints the node with this number."""

Args = Mapping[str, Any]
Row = str | Callable[[Args], str]


def _add(sign: str) -> Row:
    def row(args: Args) -> str:
        scaled = "other" if args.get("alpha", 1) == 1 else "alpha * other"
        return f"self {sign} {scaled}"

    return row


def _div(args: Args) -> str:
    mode = args.get("rounding_mode")
    return {None: "self / other", "floor": "self // other"}.get(
        mode, "np.trunc(self / other)"
    )


def _clamp(args: Args) -> str:
    if args.get("min") is None:
        return "np.minimum(self, max)"
    if args.get("max") is None:
        return "np.maximum(self, min)"
    return "np.clip(self, min, max)"


def _reduce(function: str) -> Row:
    def row(args: Args) -> str:
        axis = ", axis=dim" if args.get("dim") not in (None, ()) else ""
        keep = ", keepdims=True" if args.get("keepdim") else ""
        return f"np.{function}(self{axis}{keep})"

    return row


def _norm(args: Args) -> str:
    order = args.get("ord", args.get("p", 2))
    if order != 2:
        raise KeyError
    axis = ", axis=dim" if args.get("dim") not in (None, ()) else ""
    keep = ", keepdims=True" if args.get("keepdim") else ""
    return f"np.sqrt(np.sum(np.square(self){axis}{keep}))"


def _arange(args: Args) -> str:
    bounds = ", ".join(k for k in ("start", "end", "step") if k in args)
    return f"np.arange({bounds})"


def _eye(args: Args) -> str:
    return "np.eye(n, m)" if args.get("m", args["n"]) != args["n"] else "np.eye(n)"


def _offset(function: str) -> Row:
    return lambda args: (
        f"np.{function}(self, diagonal)"
        if args.get("diagonal")
        else f"np.{function}(self)"
    )


def _indices(function: str) -> Row:
    def row(args: Args) -> str:
        return f"np.stack(np.{function}(row, {args.get('offset', 0)}, col))"

    return row


def _axis(function: str) -> Row:
    return lambda args: (
        f"np.{function}(tensors, dim)" if args.get("dim") else f"np.{function}(tensors)"
    )


# Operands are cast to the result's dtype first: where torch would, NumPy may not.
ARITHMETIC: dict[str, Row] = {
    "abs": "np.abs(self)",
    "add": _add("+"),
    "amax": _reduce("max"),
    "amin": _reduce("min"),
    "atan2": "np.arctan2(self, other)",
    "bmm": "self @ mat2",
    "cat": _axis("concatenate"),
    "ceil": "np.ceil(self)",
    "clamp": _clamp,
    "clamp_max": "np.minimum(self, max)",
    "clamp_min": "np.maximum(self, min)",
    "cos": "np.cos(self)",
    "cumprod": "np.cumprod(self, dim)",
    "cumsum": "np.cumsum(self, dim)",
    "div": _div,
    "dot": "np.dot(self, tensor)",
    "erfinv": "erfinv(self)",
    "exp": "np.exp(self)",
    "expm1": "np.expm1(self)",
    "flip": "np.flip(self, dims)",
    "floor": "np.floor(self)",
    "floor_divide": "self // other",
    "linalg_vector_norm": _norm,
    "log": "np.log(self)",
    "log10": "np.log10(self)",
    "log1p": "np.log1p(self)",
    "log2": "np.log2(self)",
    "maximum": "np.maximum(self, other)",
    "mean": _reduce("mean"),
    "minimum": "np.minimum(self, other)",
    "mm": "self @ mat2",
    "mul": "self * other",
    "mv": "self @ vec",
    "neg": "-self",
    "norm": _norm,
    "pow": "self ** exponent",
    "prod": _reduce("prod"),
    "reciprocal": "1 / self",
    "remainder": "np.remainder(self, other)",
    "repeat": "np.tile(self, repeats)",
    "roll": "np.roll(self, shifts, dims)",
    "round": "np.round(self)",
    "rsqrt": "1 / np.sqrt(self)",
    "rsub": "other - self",
    "sigmoid": "1 / (1 + np.exp(-self))",
    "sgn": "np.sign(self)",
    "sign": "np.sign(self)",
    "sin": "np.sin(self)",
    "sqrt": "np.sqrt(self)",
    "stack": _axis("stack"),
    "sub": _add("-"),
    "sum": _reduce("sum"),
    "tan": "np.tan(self)",
    "tanh": "np.tanh(self)",
    "tril": _offset("tril"),
    "triu": _offset("triu"),
    "trunc": "np.trunc(self)",
}

# Operands keep their dtypes; the result is cast where it would differ.
OTHER: dict[str, Row] = {
    "_to_copy": "self",
    "arange": _arange,
    "bitwise_and": "self & other",
    "bitwise_not": "~self",
    "bitwise_or": "self | other",
    "complex": "real + 1j * imag",
    "diagonal_copy": "np.diagonal(self)",
    "eq": "self == other",
    "eye": _eye,
    "ge": "self >= other",
    "gather": "np.take_along_axis(self, index, dim)",
    "gt": "self > other",
    "index_select": "np.take(self, index, dim)",
    "le": "self <= other",
    "linspace": "np.linspace(start, end, steps)",
    "logical_and": "np.logical_and(self, other)",
    "logical_not": "np.logical_not(self)",
    "logical_or": "np.logical_or(self, other)",
    "logspace": "np.logspace(start, end, steps)",
    "lt": "self < other",
    "masked_fill": "np.where(mask, value, self)",
    "ne": "self != other",
    "polar": "abs * np.exp(1j * angle)",
    "repeat_interleave": "np.repeat(self, repeats, dim)",
    "tril_indices": _indices("tril_indices"),
    "triu_indices": _indices("triu_indices"),
    "view_as_complex": "self",
    "where": "np.where(condition, self, other)",
}

_QR = "np.linalg.qr(A)[output]"

# Ops whose NumPy result has the dtype of the operands, or bool.
_KEEPS = {
    "bitwise_and", "bitwise_not", "bitwise_or", "diagonal_copy", "eq", "ge", "gather",
    "gt", "index_select", "le", "logical_and", "logical_not", "logical_or", "lt",
    "masked_fill", "ne", "repeat_interleave", "where", "tril_indices", "triu_indices",
}  # fmt: skip

# Arguments that the rows leave out must have these values.
_PLAIN: dict[str, Any] = {
    "alpha": 1, "offset": 0, "dim1": 0, "dim2": 1, "base": 10.0, "dtype": None,
    "output_size": None, "sparse_grad": False, "decimals": 0, "mode": "reduced",
}  # fmt: skip
_PLAIN_FOR = {"diagonal_copy", "logspace", "repeat_interleave", "gather", "round",
              "linalg_qr"}  # fmt: skip

_DTYPES = {
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32",
    "float64", "complex64", "complex128",
}  # fmt: skip


def obstacle(node: Node) -> str:
    """Why `setup` can't compute this node; "" if it can."""
    if node.dtype not in _DTYPES:
        return f"{node.dtype} has no NumPy type"
    if isinstance(node, Draw):
        return f"drawn by {node.args[0]}" if node.kind == "unknown" else ""
    if isinstance(node, Call):
        args = dict(node.args)
        try:
            _template(node, args)
        except KeyError:
            return f"computed by {node.op}"
        if node.op in _PLAIN_FOR and any(
            args.get(k, v) != v for k, v in _PLAIN.items()
        ):
            return f"computed by {node.op} with options"
    return ""


def expression(node: Node, nodes: tuple[Node, ...], show: Show) -> ast.expr:
    """A node that isn't a Draw or Write, from its operands."""
    if isinstance(node, Fill):
        return filled(node, ast.parse(repr(node.shape), mode="eval").body)
    if isinstance(node, Literal):
        return _literal(node)
    if isinstance(node, Read):
        base = nodes[node.base.node]
        return path_expression(show(node.base.node), base.shape, node.path, show)
    assert isinstance(node, Call)
    return _call(node, nodes, show)


def filled(node: Fill, shape: ast.expr) -> ast.expr:
    """`np.zeros(shape, dtype)`, ones or full."""
    dtype, value = dtype_expression(node.dtype), node.value
    if not value and math.copysign(1, getattr(value, "real", 0) or 0) > 0:
        return template("np.zeros(shape, dtype)", shape=shape, dtype=dtype)
    if value == 1:
        return template("np.ones(shape, dtype)", shape=shape, dtype=dtype)
    assert value is not None
    number = shortest(value, node.dtype)
    return template(
        "np.full(shape, value, dtype)", shape=shape, value=number, dtype=dtype
    )


def template(text: str, **args: Any) -> ast.expr:
    return substitute(text, args, lambda tree: tree)


def dtype_expression(dtype: str) -> ast.expr:
    return template("np.bool_" if dtype == "bool" else f"np.{dtype}")


def shortest(value: Any, dtype: str) -> Any:
    """The shortest number that is the same in `dtype`: 0.1, not 0.10000000149."""
    if dtype != "float32" or not isinstance(value, float) or not math.isfinite(value):
        return value
    short = float(str(np.float32(value)))
    return short if np.float32(short) == np.float32(value) else value


def path_expression(
    x: ast.expr, shape: tuple[int, ...], path: Path, show: Show
) -> ast.expr:
    """`x`, of this shape, seen through `path`."""
    for step in path:
        if isinstance(step, Reshape):
            x, shape = template("x.reshape(*sizes)", x=x, sizes=step.shape), step.shape
            if not step.shape:
                x = template("x.reshape(())", x=x)
        elif isinstance(step, Permute):
            shape = tuple(shape[d] for d in step.dims)
            if step.dims == (1, 0):
                x = template("x.T", x=x)
            else:
                x = template("x.transpose(*dims)", x=x, dims=step.dims)
        elif isinstance(step, Pick):
            x, shape = _picked(x, shape, step, show)
        else:
            x = template("np.broadcast_to(x, shape)", x=x, shape=step.shape)
            shape = step.shape
    return x


def _picked(
    x: ast.expr, shape: tuple[int, ...], pick: Pick, show: Show
) -> tuple[ast.expr, tuple[int, ...]]:
    items: list[ast.expr] = []
    sizes: list[int] = []
    dim = 0
    for item in pick.items:
        if item is None:
            items.append(ast.Constant(None))
            sizes.append(1)
            continue
        if isinstance(item, Ref):
            items.append(show(item.node))
        elif isinstance(item, Span):
            items.append(_slice(item, shape[dim]))
            sizes.append(len(range(*item)))
        else:
            items.append(ast.Constant(item))
        dim += 1
    while len(items) > 1 and ast.unparse(items[-1]) == ":":
        items.pop()
    index = items[0] if len(items) == 1 else ast.Tuple(items, ast.Load())
    return ast.Subscript(x, index, ast.Load()), tuple(sizes)


def _slice(span: Span, size: int) -> ast.expr:
    start, stop, step = span
    return ast.Slice(
        ast.Constant(start) if start else None,
        ast.Constant(stop) if stop < size else None,
        ast.Constant(step) if step != 1 else None,
    )


def _literal(node: Literal) -> ast.expr:
    numbers = tuple(shortest(value, node.dtype) for value in node.values)
    x = template("np.array(values, dtype)", values=list(numbers),
                 dtype=dtype_expression(node.dtype))  # fmt: skip
    if len(node.shape) == 1:
        return x
    return template("x.reshape(*shape)", x=x, shape=node.shape)


def _template(node: Call, args: Args) -> str:
    """The row's template; KeyError if there is none for these arguments."""
    if node.op == "linalg_qr":
        return _QR
    row = ARITHMETIC.get(node.op) or OTHER[node.op]
    return row if isinstance(row, str) else row(args)


def _call(node: Call, nodes: tuple[Node, ...], show: Show) -> ast.expr:
    args, dtype = dict(node.args), node.dtype

    def shown(arg: Arg) -> Any:
        if isinstance(arg, Ref):
            x = _unspread(arg, node, nodes, show) or show(arg.node)
            cast = node.op in ARITHMETIC and nodes[arg.node].dtype != dtype
            return _cast(x, dtype) if cast else x
        if isinstance(arg, tuple):
            return tuple(shown(item) for item in arg)
        return arg

    values = {name: shown(arg) for name, arg in args.items()}
    values |= {"output": node.output, "m": args.get("m", args.get("n"))}
    x = substitute(_template(node, args), values, lambda tree: tree)
    if node.op == "arange":
        return _ranged(x, args, dtype)
    if node.op == "view_as_complex":
        return template("x.view(dtype)[..., 0]", x=x, dtype=dtype_expression(dtype))
    if node.op in OTHER and node.op not in _KEEPS:
        return _cast(x, dtype)
    return x


_BROADCASTS = {"add", "sub", "mul", "div", "maximum", "minimum"}


def _unspread(
    arg: Ref, node: Call, nodes: tuple[Node, ...], show: Show
) -> ast.expr | None:
    """An operand before it was broadcast, where NumPy broadcasts it anyway."""
    read = nodes[arg.node]
    if node.op not in _BROADCASTS or not isinstance(read, Read):
        return None
    others = (v for k, v in node.args if isinstance(v, Ref) and v != arg)
    fits = any(nodes[other.node].shape == node.shape for other in others)
    if not fits or not isinstance(read.path[-1], Spread):
        return None
    base = nodes[read.base.node]
    return path_expression(show(read.base.node), base.shape, read.path[:-1], show)


def _ranged(x: ast.expr, args: Args, dtype: str) -> ast.expr:
    numbers = [args[k] for k in ("start", "end", "step") if k in args]
    if all(float(n).is_integer() for n in numbers):
        if dtype == "int64" and all(isinstance(n, int) for n in numbers):
            return x
        assert isinstance(x, ast.Call)
        x.keywords.append(ast.keyword("dtype", dtype_expression(dtype)))
        return x
    return _cast(x, dtype)  # torch computes in float64 too


def _cast(x: ast.expr, dtype: str) -> ast.expr:
    return template("x.astype(dtype)", x=x, dtype=dtype_expression(dtype))


def is_array(node: Node) -> bool:
    """Whether its expression is a new array that may be written into."""
    if isinstance(node, Call):
        return node.op not in ("diagonal_copy", "flip")  # NumPy gives views
    return isinstance(node, (Draw, Fill, Write)) or (
        isinstance(node, Literal) and len(node.shape) == 1
    )
