"""Matrix products and einsum."""

from __future__ import annotations

from typing import Any

from luxgen.ir.einsum import explicit
from luxgen.targets.numpy.rules.op import Op, Refused, Rule
from luxgen.targets.numpy.rules.promotion import kind
from luxgen.targets.numpy.rules.shape import fixed, spread


def added(product: str) -> Rule:
    """beta * input + alpha * product; beta 0 leaves input out, whatever is in it."""

    def rule(op: Op) -> str:
        if op.out_dtype == "bool":
            raise Refused(f"{op.name} of bool tensors", "compute in integers")
        alpha, beta = (_factor(op, n) for n in ("alpha", "beta"))
        text = product if alpha == 1 else f"alpha * ({product})"
        if beta == 0:
            return text
        return f"input + {text}" if beta == 1 else f"beta * input + {text}"

    return rule


def _factor(op: Op, name: str) -> Any:
    """alpha or beta; torch cuts it to an integer for integer tensors."""
    value = op.args.get(name, 1)
    if isinstance(value, float) and kind(op.out_dtype) < 2:
        op.args[name] = value = int(value)
    return value


def einsum(op: Op) -> str:
    """As a person writes it where that is one matrix product; else the helper."""
    equation = op.const("equation")
    if not isinstance(equation, str):
        raise Refused("einsum with sublists", "write the equation as a string")
    names = spread(op, "operands")
    terms, output = explicit(equation, [op.ndim(n) for n in names])
    sizes: dict[str, int] = {}
    for name, term in zip(names, terms, strict=True):
        for label, size in zip(term, op.shape(name), strict=True):
            if sizes.setdefault(label, size) != size:
                raise Refused(
                    f'einsum "{equation}" broadcasts {label!r}', "expand it first"
                )
    op.args["equation"] = f"{','.join(terms)}->{output}"
    if len(names) == 1:
        return f"np.einsum(equation, {names[0]})"
    if len(names) == 2 and all(len(set(t)) == len(t) for t in terms):
        text = product(names[0], terms[0], names[1], terms[1], output)
        if text:
            return text
    return f"einsum(equation, {', '.join(names)})"


def product(a: str, xs: str, b: str, ys: str, output: str) -> str:
    """One product of two operands, or "" if it takes more than transposes."""
    batch = [s for s in xs if s in ys and s in output]
    inner = [s for s in xs if s in ys and s not in output]
    left = [s for s in xs if s not in ys]
    right = [s for s in ys if s not in xs]
    if not set(left + right) <= set(output):
        return ""
    if not inner:
        return _outer(a, xs, b, ys, output)
    if len(inner) == 1 and len(right) == 1 and left and (not batch or len(left) == 1):
        batch = [s for s in output if s in batch]
        left = [s for s in output if s in left] if not batch else left
        first = _permuted(a, xs, [*batch, *left, *inner])
        second = _permuted(b, ys, [*batch, *inner, *right])
        dims = [*batch, *left, *right]
        text = f"{first} @ {second}"
    elif not batch:
        dims = [*left, *right]
        pairs = [xs.index(s) for s in inner], [ys.index(s) for s in inner]
        text = f"np.tensordot({a}, {b}, axes={pairs})"
    else:
        return ""
    if dims == list(output):
        return text
    return _permuted(f"({text})", "".join(dims), output)


def _outer(a: str, xs: str, b: str, ys: str, output: str) -> str:
    """A product without sum: dims put in the output's order and broadcast."""
    parts = []
    for name, dims in ((a, xs), (b, ys)):
        moved = _permuted(name, dims, [s for s in output if s in dims])
        index = [":" if s in dims else "None" for s in output]
        while index and index[0] == "None":  # broadcasting adds those
            index = index[1:]
        if "None" in index:
            while index[-1] == ":":
                index = index[:-1]
            moved = f"{moved}[{', '.join(index)}]"
        parts.append(moved)
    return " * ".join(parts)


def _permuted(text: str, dims: str, order: list[str] | str) -> str:
    axes = [dims.index(s) for s in order]
    if axes == sorted(axes):
        return text
    if axes == [*range(len(axes) - 2), len(axes) - 1, len(axes) - 2]:
        return f"{text}.T" if len(axes) == 2 else f"{text}.swapaxes(-2, -1)"
    return f"{text}.transpose({', '.join(map(str, axes))})"


def tensordot(op: Op) -> str:
    """A dim of size 1 is broadcast: the other's is summed alone."""
    dims = op.args.get("dims", 2)
    if dims == 2:
        return "np.tensordot(a, b)"
    alone: dict[str, list[int]] = {"a": [], "b": []}
    if isinstance(dims, (tuple, list)) and len(dims) == 2:
        for left, right in zip(*dims, strict=True):
            sizes = op.shape("a")[left], op.shape("b")[right]
            if sizes[0] == sizes[1]:
                continue
            one = ("a", left) if sizes[0] == 1 else ("b", right)
            if not fixed(op.args[one[0]], one[1]):
                raise Refused("tensordot that broadcasts a free dim", "expand it first")
            alone["b" if one[0] == "a" else "a"].append(
                right if one[0] == "a" else left
            )
    a, b = (
        f"{name}.sum(axis={tuple(axes)}, keepdims=True)" if axes else name
        for name, axes in alone.items()
    )
    return f"np.tensordot({a}, {b}, axes=dims)"


def chain_matmul(op: Op) -> str:
    return " @ ".join(spread(op, "matrices"))


RULES: dict[str, Rule] = {
    "matmul": "input @ other",
    "mm": "input @ mat2",
    "spmm": "input @ mat2",
    "bmm": "input @ mat2",
    "mv": "input @ vec",
    "dot": "input @ tensor",
    "vdot": "np.vdot(input, other)",
    "inner": "np.inner(input, other)",
    "outer": "np.outer(input, vec2)",
    "ger": "np.outer(input, vec2)",
    "addmm": added("mat1 @ mat2"),
    "addmv": added("mat @ vec"),
    "addr": added("np.outer(vec1, vec2)"),
    "addbmm": added("np.tensordot(batch1, batch2, axes=((0, 2), (0, 1)))"),
    "baddbmm": added("batch1 @ batch2"),
    "einsum": einsum,
    "tensordot": tensordot,
    "chain_matmul": chain_matmul,
}
