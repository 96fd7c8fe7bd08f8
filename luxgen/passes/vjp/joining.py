"""VJP rows of joining and cutting: each is the other's backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luxgen.ir.values import Dim, Value
from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term


def tensors_of(g: Row) -> list[Term]:
    """The tensors joined, given as f(a, b) or as f([a, b])."""
    items = g.op.args["tensors"]
    if len(items) == 1 and isinstance(items[0], (tuple, list)):
        items = items[0]
    return [Term(item, g.tape) for item in items]


def cut(d: Term, likes: Sequence[Term], dim: int) -> list[Term]:
    """`d` in pieces along `dim`, as long there as `likes` (0-d: 1), one by one."""
    if len(likes) == 1:
        return [d]
    tape = d.tape
    sizes = [like.size(dim) if like.ndim else Term(1, tape) for like in likes]
    return cut_sizes(d, sizes, dim)


def cut_sizes(d: Term, sizes: Sequence[Term], dim: int) -> list[Term]:
    """`d` in pieces of these sizes along `dim`."""
    results = []
    for size in sizes:
        here, there = seen(size)
        shape, witness = list(d.shape), list(d.witness)
        shape[dim], witness[dim] = here, there
        results.append(Value(d.dtype, tuple(shape), tuple(witness)))
    args: dict[str, Any] = {"input": d, "split_sizes": list(sizes), "dim": dim}
    name = "split_with_sizes"
    if len(sizes) == 2:  # np.split(d, [n])
        name = "tensor_split"
        args = {"input": d, "indices": [sizes[0]], "dim": dim}
    if not dim:
        del args["dim"]
    return list(d.tape.emit(name, args, tuple(results)))


def seen(size: Term) -> tuple[int, int]:
    """A number's values in the two traces."""
    if not isinstance(size.arg, Dim):
        return size.arg, size.arg
    value, witness = size.arg.value, size.arg.witness
    return int(value), int(value if witness is None else witness)


def pasted(g: Row, dim: int) -> Cotangents:
    """The cotangents of all pieces, joined along dim."""
    name = "tensor" if g.has("tensor") else "input"
    parts = tuple(g.d_of(k) for k in range(len(g.outs)))
    if len(parts) == 1:
        return {name: parts[0]}
    args: dict[str, Any] = {"tensors": parts} | ({"dim": dim} if dim else {})
    return {name: g.tape.op("cat", like=g[name], **args)}


def cat(g: Row) -> Cotangents:
    """Empty 1-d tensors of old joined anything."""
    tensors, dim = tensors_of(g), g.const("dim", 0)
    old = [t.shape == t.witness == (0,) for t in tensors]
    if g.d.ndim == 1:
        old = [False] * len(tensors)
    real = [t for t, skipped in zip(tensors, old, strict=True) if not skipped]
    if not real:
        return {}
    pieces = iter(cut(g.d, real, dim % g.d.ndim))
    return {"tensors": tuple(None if skipped else next(pieces) for skipped in old)}


def stack(g: Row) -> Cotangents:
    dim, tensors = g.const("dim", 0) % g.d.ndim, tensors_of(g)
    return {
        "tensors": tuple(
            g.tape.op("select", like=t, dtype=g.d.dtype, input=g.d, dim=dim, index=k)
            for k, t in enumerate(tensors)
        )
    }


def joined(dim: int, ndim: int) -> Vjp:
    """hstack and its relatives, which join tensors of `ndim` dims at least."""

    def row(g: Row) -> Cotangents:
        tensors = tensors_of(g)
        axis = 0 if g.d.ndim == 1 else dim
        whole = {t.ndim for t in tensors}
        if min(whole) >= ndim:
            return {"tensors": tuple(cut(g.d, tensors, axis))}
        sizes = [_length(t, axis, ndim) for t in tensors]
        pieces = cut_sizes(g.d, sizes, axis) if len(tensors) > 1 else [g.d]
        pairs = zip(pieces, tensors, strict=True)
        return {"tensors": tuple(d.reshape_as(t) for d, t in pairs)}

    return row


def _length(t: Term, axis: int, ndim: int) -> Term:
    """Size along `axis` of a tensor with dims of size 1 added up to `ndim`."""
    if t.ndim >= ndim or (t.ndim == 1 and ndim == 1):
        return t.size(axis)
    return Term(1, t.tape)


def column_stack(g: Row) -> Cotangents:
    tensors = tensors_of(g)
    one = Term(1, g.tape)
    sizes = [t.size(1) if t.ndim > 1 else one for t in tensors]
    pieces = cut_sizes(g.d, sizes, 1) if len(tensors) > 1 else [g.d]
    pairs = zip(pieces, tensors, strict=True)
    return {"tensors": tuple(d.reshape_as(t) for d, t in pairs)}


def split(g: Row) -> Cotangents:
    name = "tensor" if g.has("tensor") else "input"
    return pasted(g, g.const("dim", 0) % g[name].ndim)


def split_along(dim: int) -> Vjp:
    return lambda g: pasted(g, 0 if g["input"].ndim == 1 else dim)


def unbind(g: Row) -> Cotangents:
    x, dim = g["input"], g.const("dim", 0) % g["input"].ndim
    parts = tuple(g.d_of(k) for k in range(len(g.outs)))
    if not parts:
        return {}
    args: dict[str, Any] = {"tensors": parts} | ({"dim": dim} if dim else {})
    return {"input": g.tape.op("stack", like=x, **args)}


def meshgrid(g: Row) -> Cotangents:
    """Each grid varies along one dim only."""
    tensors = tensors_of(g)
    order = list(range(len(tensors)))
    if (g.const("indexing") or "ij") == "xy" and len(order) > 1:
        order[:2] = [1, 0]
    found: list[Term | None] = []
    for k, (tensor, own) in enumerate(zip(tensors, order, strict=True)):
        if g.given[k] is None:
            found.append(None)
            continue
        dims = tuple(d for d in range(len(tensors)) if d != own)
        d = g.d_of(k)
        found.append((d.sum(dims) if dims else d).reshape_as(tensor))
    return {"tensors": tuple(found)}


def block_diag(g: Row) -> Cotangents:
    tensors = tensors_of(g)
    found: list[Term] = []
    row, column = Term(0, g.tape), Term(0, g.tape)
    for t in tensors:
        one = Term(1, g.tape)
        height = t.size(0) if t.ndim == 2 else one
        width = t.size(-1) if t.ndim else one
        ends = (_plus(row, height), _plus(column, width))
        index = (slice(row, ends[0]), slice(column, ends[1]))
        sizes = [(a, b) for a, b in zip(seen(height), seen(width), strict=True)]
        block = g.tape.op(
            "getitem", like=g.d, shape=sizes[0], witness=sizes[1],
            input=g.d, index=index,
        )  # fmt: skip
        found.append(block if t.ndim == 2 else block.reshape_as(t))
        row, column = ends
    return {"tensors": tuple(found)}


def _plus(start: Term, size: Term) -> Term:
    return size if start.arg == 0 else start + size


def cartesian_prod(g: Row) -> Cotangents:
    """Column k belongs to tensor k: a grid in which it varies along dim k."""
    tensors = tensors_of(g)
    if len(tensors) == 1:
        return {"tensors": (g.d,)}
    sizes = tuple(t.size(0) for t in tensors)
    shape, witness = zip(*(seen(size) for size in sizes), strict=True)
    found = []
    for k, tensor in enumerate(tensors):
        column = g.tape.op(
            "select", like=g.d, shape=g.d.shape[:1], witness=g.d.witness[:1],
            input=g.d, dim=1, index=k,
        )  # fmt: skip
        made = Value(g.d.dtype, shape, witness)
        grid = g.tape.emit("reshape", {"input": column, "shape": sizes}, made)
        others = tuple(d for d in range(len(tensors)) if d != k)
        found.append(grid.sum(others).reshape_as(tensor))
    return {"tensors": tuple(found)}


def broadcast_tensors(g: Row) -> Cotangents:
    return {"tensors": g.given}


def at_least(g: Row) -> Cotangents:
    pairs = zip(g.given, tensors_of(g), strict=True)
    return {"tensors": tuple(d and d.reshape_as(t) for d, t in pairs)}


VJP: dict[str, Vjp] = {
    "cat": cat,
    "stack": stack,
    "hstack": joined(1, 1),
    "vstack": joined(0, 2),
    "dstack": joined(2, 3),
    "column_stack": column_stack,
    "split": split,
    "split_with_sizes": split,
    "unsafe_split": split,
    "unsafe_split_with_sizes": split,
    "chunk": split,
    "unsafe_chunk": split,
    "tensor_split": split,
    "hsplit": split_along(1),
    "vsplit": split_along(0),
    "dsplit": split_along(2),
    "unbind": unbind,
    "meshgrid": meshgrid,
    "block_diag": block_diag,
    "cartesian_prod": cartesian_prod,
    "broadcast_tensors": broadcast_tensors,
    "atleast_1d": at_least,
    "atleast_2d": at_least,
    "atleast_3d": at_least,
    "unbind_copy": unbind,
    "split_copy": split,
    "split_with_sizes_copy": split,
}
