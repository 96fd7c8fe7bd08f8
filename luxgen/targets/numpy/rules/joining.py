"""Several arrays from one, one from several."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Rule
from luxgen.targets.numpy.rules.promotion import join, np_dtype
from luxgen.targets.numpy.rules.shape import fixed, spread


def joined(function: str) -> Rule:
    """np.concatenate and its relatives, in torch's dtype."""

    def rule(op: Op) -> str:
        names = spread(op, "tensors")
        if function == "concatenate":  # torch skips empty 1-d tensors of old
            names = [n for n in names if op.shape(n) != (0,)] or names[:1]
        parts = cast_all(op, names)
        comma = "," if len(parts) == 1 else ""
        axis = ", axis=dim" if op.args.get("dim") else ""
        return f"np.{function}(({', '.join(parts)}{comma}){axis})"

    return rule


def cast_all(op: Op, names: list[str]) -> list[str]:
    """The tensors `names`, cast to their common dtype where they need it."""
    dtypes = [op.dtype(n) for n in names]
    target = op.out_dtype if op.outs else join(dtypes)
    if set(dtypes) == {target}:
        return names
    cast = f".astype({np_dtype(str(target))})"
    pairs = zip(names, dtypes, strict=True)
    return [n if d == target else n + cast for n, d in pairs]


def split(op: Op) -> str:
    """np.split at the offsets where the sizes are known, else the helper."""
    x = "tensor" if "tensor" in op.args else "input"
    names = ("split_size", "split_sizes", "split_size_or_sections")
    name = next(n for n in names if n in op.args)
    sizes, dim = op.args[name], op.args.get("dim", 0)
    axis = f", axis={dim}" if dim else ""
    if not isinstance(sizes, (tuple, list)):
        value = op.args[x]
        whole = value.shape[dim]
        if isinstance(sizes, int) and fixed(value, dim) and whole % (sizes or 1) == 0:
            return f"np.split({x}, {max(whole // (sizes or 1), 1)}{axis})"
        return f"split({x}, {name}{f', {dim}' if dim else ''})"
    if all(isinstance(s, int) for s in sizes):
        stops = [sum(sizes[: k + 1]) for k in range(len(sizes) - 1)]
        return f"np.split({x}, {stops}{axis})"
    return f"np.split({x}, np.cumsum({name})[:-1]{axis})"


def chunk(op: Op) -> str:
    x, count, dim = op.args["input"], op.const("chunks"), op.const("dim", 0)
    if fixed(x, dim) and x.shape[dim] % count == 0:
        return f"np.split(input, {count}{f', axis={dim}' if dim else ''})"
    op.args.setdefault("dim", 0)
    return "chunk(input, chunks, dim)" if dim else "chunk(input, chunks)"


def tensor_split(op: Op) -> str:
    names = ("indices", "sections", "tensor_indices_or_sections")
    name = next(n for n in names if n in op.args)
    axis = ", axis=dim" if op.args.get("dim") else ""
    return f"np.array_split(input, {name}{axis})"


def split_along(dim: int) -> Rule:
    """hsplit, vsplit, dsplit."""

    def rule(op: Op) -> str:
        name = "indices" if "indices" in op.args else "sections"
        axis = 0 if dim == 1 and op.ndim("input") == 1 else dim
        return f"np.split(input, {name}{f', axis={axis}' if axis else ''})"

    return rule


def unbind(op: Op) -> str:
    dim = op.const("dim", 0)
    moved = "input" if dim in (0, -op.ndim("input")) else "np.moveaxis(input, dim, 0)"
    return f"tuple({moved})"


def of_list(function: str) -> Rule:
    """`function` called with the tensors as they are."""
    return lambda op: f"{function}({', '.join(spread(op, 'tensors'))})"


def meshgrid(op: Op) -> str:
    names = spread(op, "tensors")
    indexing = op.const("indexing") or "ij"
    order = "" if indexing == "xy" else f', indexing="{indexing}"'
    return f"np.meshgrid({', '.join(names)}{order})"


def block_diag(op: Op) -> str:
    return f"block_diag({', '.join(cast_all(op, spread(op, 'tensors')))})"


def cartesian_prod(op: Op) -> str:
    names = spread(op, "tensors")
    return names[0] if len(names) == 1 else f"cartesian_prod({', '.join(names)})"


RULES: dict[str, Rule] = {
    "cat": joined("concatenate"),
    "stack": joined("stack"),
    "hstack": joined("hstack"),
    "vstack": joined("vstack"),
    "dstack": joined("dstack"),
    "column_stack": joined("column_stack"),
    "split": split,
    "split_with_sizes": split,
    "unsafe_split": split,
    "unsafe_split_with_sizes": split,
    "chunk": chunk,
    "unsafe_chunk": chunk,
    "tensor_split": tensor_split,
    "hsplit": split_along(1),
    "vsplit": split_along(0),
    "dsplit": split_along(2),
    "unbind": unbind,
    "meshgrid": meshgrid,
    "block_diag": block_diag,
    "cartesian_prod": cartesian_prod,
    "broadcast_tensors": of_list("np.broadcast_arrays"),
    "atleast_1d": of_list("np.atleast_1d"),
    "atleast_2d": of_list("np.atleast_2d"),
    "atleast_3d": of_list("np.atleast_3d"),
    "unbind_copy": unbind,
    "split_copy": split,
    "split_with_sizes_copy": split,
}
