"""Casts where NumPy's promotion of an op's operands would differ from torch's.

Torch gives Python numbers and 0-d tensors no say within their kind, has no
int64 + float32 -> float64, and divides integers in float32. NumPy 1.26 lets a
number widen a 0-d operand, NumPy 2 lets a 0-d operand widen an array: the casts
make both do what torch does, and are left out where all three agree.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from luxgen.ir.values import Dim, Option

if TYPE_CHECKING:
    from luxgen.targets.numpy.rules.op import Op

KIND = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
NUMBER_KIND = {"bool": 0, "int": 1, "float": 2, "complex": 3}
SCALARS = {"int", "float", "complex"}  # dtypes of values that are Python numbers
DEFAULT = ("bool", "int64", "float32", "complex64")
NARROW = {"float32": 3.4e38, "float16": 6.5e4}  # beyond, NumPy 1.26 widens
EXACT_NUMBERS = {"int64", "float64", "complex128", "bool"}  # NumPy's own for numbers


def promoted(op: Op, template: str, *names: str) -> str:
    """`template` with the operands `names` (default: all) cast as torch promotes them.

    They are cast to `torch.result_type`; to the op's own dtype where that is a float
    and the operands are integers (true division, roots, exp ...).
    """
    tensors, numbers = operands(op, names)
    target = result_type(op, *names)
    out = op.out_dtype if op.outs else target
    if kind(target) < 2 <= kind(out):
        target = out
    casts = {
        name: f"{name}.astype({np_dtype(target)})"
        for name in _to_cast({n: op.dtype(n) for n in tensors}, target)
    }
    scalar = not any(op.ndim(name) for name in tensors)
    for name, value in numbers.items():
        text = number_text(name, value, target, cast=scalar and bool(tensors))
        if text != name:
            casts[name] = text
    literals = target if scalar and tensors and target not in EXACT_NUMBERS else ""
    if casts or literals:
        tree = _Cast(casts, literals).visit(ast.parse(template, mode="eval"))
        template = ast.unparse(tree)
    if out != target and kind(out) == kind(target):  # written in place to a narrower x
        return f"({template}).astype({np_dtype(out)})"
    return template


def elementwise(template: str, *names: str) -> Callable[[Op], str]:
    """Rule: `template` on promoted operands; refuses arguments it doesn't show."""
    shown = {n.id for n in ast.walk(ast.parse(template)) if isinstance(n, ast.Name)}

    def rule(op: Op) -> str:
        from luxgen.targets.numpy.rules.op import Refused

        unknown = sorted(set(op.args) - shown)
        if unknown:
            raise Refused(f"{op.name}: argument {unknown[0]!r} isn't supported")
        return promoted(op, template, *names)

    return rule


def operands(op: Op, names: tuple[str, ...] = ()) -> tuple[list[str], dict[str, Any]]:
    """Names of the tensor operands, and the number operands by name."""
    tensors: list[str] = []
    numbers: dict[str, Any] = {}
    for name in names or op.args:
        value = op.args.get(name)
        if op.is_tensor(name) and op.dtype(name) not in SCALARS:
            tensors.append(name)
        elif op.is_tensor(name) or isinstance(
            value, (int, float, complex, Dim, Option)
        ):
            numbers[name] = value
    return tensors, numbers


def number_kind(value: Any) -> int:
    """Kind of a Python number, or of one that is known only as text."""
    if isinstance(value, Option):
        value = value.value[0] if isinstance(value.value, tuple) else value.value
    name = getattr(value, "dtype", type(value).__name__)
    return NUMBER_KIND.get(name, 1)


def result_type(op: Op, *names: str) -> str:
    """`torch.result_type` of the operands `names` (default: all)."""
    tensors, numbers = operands(op, names)
    return promote(
        [op.dtype(n) for n in tensors if op.ndim(n)],
        [op.dtype(n) for n in tensors if not op.ndim(n)],
        [number_kind(value) for value in numbers.values()],
    )


def promote(arrays: list[str], scalars: list[str], numbers: list[int]) -> str:
    """torch's promotion of array dtypes, 0-d dtypes and kinds of Python numbers."""
    best = join(arrays)
    lower = [join(scalars), DEFAULT[max(numbers)] if numbers else None]
    for group in lower:
        if group is None:
            continue
        if best is None:
            best = group
        elif kind(group) > kind(best):
            wide = kind(group) == 3 and best == "float64"
            best = "complex128" if wide else group
    return best or "float32"


def join(dtypes: list[str]) -> str | None:
    """torch's common dtype of tensors of one category; None of none."""
    if not dtypes:
        return None
    best = dtypes[0]
    for dtype in dtypes[1:]:
        high, low = sorted((best, dtype), key=kind, reverse=True)
        same = kind(high) == kind(low) or (kind(high), kind(low)) == (3, 2)
        best = str(np.promote_types(high, low)) if same else high
    return best


def kind(dtype: str) -> int:
    """0 bool, 1 integer, 2 float, 3 complex."""
    try:
        return KIND[np.dtype(dtype).kind]
    except TypeError:
        from luxgen.targets.numpy.rules.op import Refused

        raise Refused(
            f"NumPy has no {dtype}", "run the model in float32: model.float()"
        ) from None


def np_dtype(dtype: str) -> str:
    """The dtype as generated text: float32 -> np.float32."""
    kind(dtype)
    return "bool" if dtype == "bool" else f"np.{dtype}"


def number_text(name: str, value: Any, target: str, *, cast: bool) -> str:
    """The number `name` so that NumPy takes it for `target`."""
    if isinstance(value, int) and kind(target) == 1:
        info = np.iinfo(target)
        if not info.min <= value <= info.max:  # torch wraps it, NumPy 2 raises
            return str(int(np.array(value % 2**info.bits).astype(target)))
    if isinstance(value, float) and target in NARROW and math.isfinite(value):
        largest = float(np.finfo(target).max)
        if abs(value) == largest:
            return f"np.finfo(np.{target}).{'max' if value > 0 else 'min'}"
        if abs(value) > largest:
            return "np.inf" if value > 0 else "-np.inf"
        cast = cast or abs(value) > NARROW[target]
    return f"np.{target}({name})" if cast and target not in EXACT_NUMBERS else name


def _to_cast(dtypes: Mapping[str, str], target: str) -> list[str]:
    """Which operands need a cast for NumPy to compute in `target`."""
    wrong = [n for n, d in dtypes.items() if str(np.promote_types(d, target)) != target]
    kept = [d for n, d in dtypes.items() if n not in wrong]
    if wrong or target in kept or join(kept) == target:
        return wrong
    return [n for n, d in dtypes.items() if d != target]


class _Cast(ast.NodeTransformer):
    """Replace operands by their casts, and literals by scalars of dtype `literals`."""

    def __init__(self, casts: Mapping[str, str], literals: str) -> None:
        self.casts, self.literals = casts, literals

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.casts:
            return node
        return ast.parse(self.casts[node.id], mode="eval").body

    def visit_BinOp(self, node: ast.BinOp) -> ast.BinOp:
        left, right = self._operand(node.left), self._operand(node.right)
        return ast.BinOp(left, node.op, right)

    def visit_Call(self, node: ast.Call) -> ast.Call:
        visit = self._operand if _is_ufunc(node) else self.visit
        args = [visit(a) for a in node.args]
        keywords = [ast.keyword(k.arg, self.visit(k.value)) for k in node.keywords]
        return ast.Call(self.visit(node.func), args, keywords)

    def _operand(self, node: ast.expr) -> ast.expr:
        if self.literals and isinstance(node, ast.Constant):
            text = f"np.{self.literals}({ast.unparse(node)})"
            return ast.parse(text, mode="eval").body
        result: ast.expr = self.visit(node)
        return result


def _is_ufunc(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    return name.startswith("np.") and isinstance(getattr(np, name[3:], None), np.ufunc)
