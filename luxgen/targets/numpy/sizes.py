"""Sizes as people write them: (N, 6, H // 2, W // 2)."""

from __future__ import annotations

from luxgen.ir.program import Program
from luxgen.ir.values import Arg, Either, Leaf, Structure, Value

Pair = tuple[int, int]


def size_name(pair: Pair, frees: dict[Pair, str]) -> str:
    """One size by its values in both traces: a constant, a free dim or a term of them."""
    a, b = pair
    if a == b:
        return str(a)
    if pair in frees:
        return frees[pair]
    for (x, y), name in frees.items():
        if a * y == b * x and x and a % x == 0:
            return f"{a // x} {name}"
        for k in (2, 4, 8, 16, 32, 3):
            if (x // k, y // k) == pair:
                return f"{name} // {k}"
            if (-(-x // k), -(-y // k)) == pair:
                return f"ceil({name} / {k})"
        if a - x == b - y:
            return f"{name} {'+' if a > x else '-'} {abs(a - x)}"
    for (x, y), left in frees.items():
        for (u, v), right in frees.items():
            if x * u and a % (x * u) == 0 and a // (x * u) * y * v == b:
                k = a // (x * u)
                return f"{left} {right}" if k == 1 else f"{k} {left} {right}"
    return "?"


def shape_of(value: Value | Leaf, frees: dict[Pair, str]) -> tuple[str, ...]:
    witness = value.witness or value.shape
    return tuple(size_name(p, frees) for p in zip(value.shape, witness, strict=True))


def shape_text(value: Value | Leaf, frees: dict[Pair, str]) -> str:
    sizes = shape_of(value, frees)
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"


def described(arg: Arg, frees: dict[Pair, str]) -> str:
    """A structure of values by their shapes: (4 outputs) -> "(N, 10), (N, 1)"."""
    if isinstance(arg, Either):
        training = described(arg.training, frees)
        return f"{described(arg.testing, frees)}; in training {training}"
    if isinstance(arg, (Value, Leaf)):
        return shape_text(arg, frees)
    if isinstance(arg, (tuple, list)):
        return ", ".join(described(a, frees) for a in arg)
    if isinstance(arg, dict):
        return ", ".join(f"{k} {described(v, frees)}" for k, v in arg.items())
    if isinstance(arg, Structure):
        return ", ".join(f"{k} {described(v, frees)}" for k, v in arg.fields)
    return str(arg)


def comment(program: Program, value: Value) -> str:
    """`  # (N, 10)` after a statement, where the shape is the same at every call."""
    if value.ndim < 1 or "varies" in value.names or not value.witness:
        return ""
    text = shape_text(value, program.frees)
    return "" if "?" in text else f"  # {text}"
