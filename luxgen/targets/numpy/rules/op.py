"""What a NumPy rule sees of an op, and the forms a rule may take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from luxgen.ir.values import Arg, Dim, Leaf, Value


class Refused(Exception):
    """An op that can't be translated right: the reason, and what to do instead."""

    def __init__(self, reason: str, suggestion: str = "") -> None:
        super().__init__(reason)
        self.reason, self.suggestion = reason, suggestion


@dataclass
class Op:
    """One bound call: argument names are torch's, defaults are dropped."""

    name: str
    args: dict[str, Arg]
    outs: tuple[Value, ...] = ()
    overload: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        return self.args.get(name) is not None

    def const(self, name: str, default: Any = None) -> Any:
        """The Python constant given as `name`."""
        value = self.args.get(name, default)
        if isinstance(value, (Value, Leaf, Dim)):
            raise Refused(f"{self.name}: {name} must be a constant, not a traced value")
        return value

    def is_tensor(self, name: str) -> bool:
        return isinstance(self.args.get(name), (Value, Leaf))

    def dtype(self, name: str) -> str:
        """NumPy's dtype name of a tensor; "bool"/"int"/"float"/"complex" of a number."""
        value = self.args[name]
        if isinstance(value, (Value, Leaf, Dim)):
            return value.dtype
        return type(value).__name__

    def ndim(self, name: str) -> int:
        value = self.args[name]
        return value.ndim if isinstance(value, (Value, Leaf)) else 0

    def shape(self, name: str) -> tuple[int, ...]:
        """Sizes seen while tracing: never print them unless they are a parameter's."""
        value = self.args[name]
        return value.shape if isinstance(value, (Value, Leaf)) else ()

    @property
    def out_dtype(self) -> str:
        return self.outs[0].dtype

    @property
    def out_ndim(self) -> int:
        return self.outs[0].ndim


Rule = str | Callable[[Op], str]


def helper(op: Op, name: str | None = None, **rename: str) -> str:
    """The call of helper `name`: positional tensors, keyword options, no defaults.

    `rename` maps a helper's parameter to torch's argument name; the helper's first
    parameter `x` takes torch's `input`.
    """
    from luxgen.targets.numpy.helpers import helper_function

    function = helper_function(name or op.name)
    known, parts, skipped = set(), [], False
    for parameter in inspect.signature(function).parameters.values():
        source = rename.get(parameter.name, parameter.name)
        if source == "x" and "x" not in op.args:
            source = "input"
        known.add(source)
        if source not in op.args or _same(op.args[source], parameter.default):
            skipped = skipped or parameter.kind is not parameter.KEYWORD_ONLY
            continue
        if parameter.kind is parameter.KEYWORD_ONLY or skipped:
            parts.append(f"{parameter.name}={source}")
        else:
            parts.append(source)
    unknown = set(op.args) - known
    if unknown:
        raise Refused(f"{op.name}: argument {sorted(unknown)[0]!r} isn't supported")
    return f"{function.__name__}({', '.join(parts)})"


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def CALL(op: Op) -> str:
    """Rule: call the helper of the op's own name."""
    return helper(op)


def promoted(op: Op, template: str) -> str:
    """Insert casts where NumPy's promotion of the operands would differ from torch's.

    Torch gives Python numbers and 0-d tensors no say within their kind and has no
    int64 + float32 -> float64; the dtype to compute in follows from the operands as
    `torch.result_type` defines it, except that true division, roots and the like of
    integers compute in float32.
    """
    names = [name for name in op.args if op.is_tensor(name)]
    target = result_type(op)
    out = op.outs[0].dtype if op.outs else target
    if target.startswith(("int", "uint", "bool")) and out.startswith("float"):
        target = out
    arrays = [name for name in names if op.ndim(name) > 0]
    for name in names:
        alone = op.dtype(name) == target and (op.ndim(name) > 0 or not arrays)
        if op.dtype(name) != target:
            template = _cast(template, name, f"{name}.astype(np.{_np(target)})")
        elif not alone:
            continue
    if names and not arrays and target in ("float32", "complex64"):
        for name, value in op.args.items():
            if isinstance(value, float) and len(names) >= 1:
                template = _cast(template, name, f"np.{target}({name})")
    return template


def _np(dtype: str) -> str:
    return "bool_" if dtype == "bool" else dtype


def _cast(template: str, name: str, text: str) -> str:
    import ast

    class Cast(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return ast.parse(text, mode="eval").body if node.id == name else node

    return ast.unparse(Cast().visit(ast.parse(template, mode="eval")))


_KIND = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
_DEFAULT = {0: "bool", 1: "int64", 2: "float32", 3: "complex64"}


def result_type(op: Op) -> str:
    """`torch.result_type` over all tensor and number arguments of `op`."""
    dims: list[str] = []
    zeros: list[str] = []
    numbers: list[int] = []
    for name, value in op.args.items():
        if op.is_tensor(name):
            (dims if op.ndim(name) else zeros).append(op.dtype(name))
        elif isinstance(value, (bool, int, float, complex, Dim)):
            kind = {"bool": 0, "int": 1, "float": 2, "complex": 3}[op.dtype(name)]
            numbers.append(kind)
    best = _torch_promote(dims)
    for group in (_torch_promote(zeros), _DEFAULT[max(numbers)] if numbers else None):
        if group is None:
            continue
        if best is None or _kind(group) > _kind(best):
            if best is not None and _kind(group) == 3 and best == "float64":
                group = "complex128"
            best = group
    return best or "float32"


def _kind(dtype: str) -> int:
    return _KIND[np.dtype(dtype).kind]


def _torch_promote(dtypes: list[str]) -> str | None:
    if not dtypes:
        return None
    best = dtypes[0]
    for dtype in dtypes[1:]:
        kind, top = _kind(dtype), _kind(best)
        if kind == top or {kind, top} == {2, 3}:
            best = str(np.promote_types(best, dtype))
        elif kind > top:
            best = dtype
    return best
