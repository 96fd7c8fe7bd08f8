"""VJP rows of indexing: what was read gets the cotangent, summed over repeats."""

from __future__ import annotations

from typing import Any

import numpy as np

from luxgen.ir.values import Dim, Leaf, Value, map_arg
from luxgen.passes.vjp.row import Cotangents, NoGradient, Row, Vjp
from luxgen.passes.vjp.terms import Shape, Term


def scattered(g: Row, index: Any) -> Term:
    """Zeros like the input with the cotangent where `index` was read."""
    x = g["input"]
    return g.tape.op("getitem_backward", like=x, d=g.d, input=x, index=index)


def getitem(g: Row) -> Cotangents:
    return {"input": scattered(g, g.arg("index"))}


def along(x: Term, dim: int, item: Any) -> Any:
    """The index that takes `item` in dim and all of the others."""
    dim %= x.ndim
    if dim == x.ndim - 1 and x.ndim > 2:
        return (Ellipsis, item)
    return (*[slice(None)] * dim, item) if dim else item


def select(g: Row) -> Cotangents:
    x = g["input"]
    return {"input": scattered(g, along(x, g.const("dim"), g.arg("index")))}


def narrow(g: Row) -> Cotangents:
    start, length = g["start"], g["length"]
    stop = start + length
    span = slice(
        None if start.arg == 0 else start, None if _negative_end(start, stop) else stop
    )
    return {"input": scattered(g, along(g["input"], g.const("dim"), span))}


def _negative_end(start: Term, stop: Term) -> bool:
    """Counted from the end, 0 is the end itself."""
    return isinstance(start.arg, int) and start.arg < 0 and stop.arg == 0


def part(g: Row) -> Cotangents:
    """aten's slice."""
    last = g.arg("end")
    stop = None if last is None or last == 2**63 - 1 else last
    span = slice(g.arg("start"), stop, g.arg("step"))
    return {"input": scattered(g, along(g["input"], g.const("dim", 0), span))}


def aten_index(g: Row) -> tuple[Any, ...]:
    """aten's form of an index: a tensor or None for each dim."""
    return tuple(slice(None) if i is None else i for i in g.op.args["indices"])


def index(g: Row) -> Cotangents:
    return {"input": scattered(g, aten_index(g))}


def setitem(g: Row) -> Cotangents:
    return written(g, g.arg("index"), "value")


def index_put(g: Row) -> Cotangents:
    return written(g, aten_index(g), "values", kept=bool(g.const("accumulate", False)))


def written(g: Row, index: Any, name: str, *, kept: bool = False) -> Cotangents:
    """Of an input and of what was written, or added (`kept`), at `index`."""
    found: Cotangents = {"input": g.d}
    if not kept:
        args = {"input": g.d, "index": index, "value": 0}
        found["input"] = g.tape.op("setitem", like=g.d, **args)
    if g.is_tensor(name):
        found[name] = read(g.d, index, g[name])
    return found


def read(d: Term, index: Any, value: Term) -> Term:
    """`d` at `index`, from which `value` was broadcast there."""
    shapes = [
        indexed(shape, index, witness=k == 1, size=size)
        for k, (shape, size) in enumerate(
            ((d.shape, value.shape), (d.witness, value.witness))
        )
    ]
    return d.tape.op(
        "getitem", like=d, shape=shapes[0], witness=shapes[1], input=d, index=index
    )


def indexed(shape: Shape, index: Any, *, witness: bool, size: Shape) -> Shape:
    """The shape of `x[index]`; elements under a mask are as many as `size` says.

    As torch indexes: with ints and slices first, with arrays then.
    """

    def plain(item: Any) -> Any:
        if isinstance(item, Dim):
            return item.witness if witness and item.witness is not None else item.value
        if isinstance(item, (Value, Leaf)):
            sizes = (item.witness or item.shape) if witness else item.shape
            if item.dtype != "bool":
                return np.zeros(sizes, np.int64) if sizes else 0
            return np.zeros(sizes, bool)
        return item

    items = index if isinstance(index, tuple) else (index,)
    plainly = [map_arg(plain, i) for i in items]
    plainly = [np.array(i) if isinstance(i, (list, range)) else i for i in plainly]
    takes = [_takes(i) for i in plainly]
    rest = [slice(None)] * (len(shape) - sum(takes))
    at = next((k for k, i in enumerate(plainly) if i is Ellipsis), len(plainly))
    plainly = [*plainly[:at], *rest, *plainly[at + 1 :]]
    view: list[Any] = []
    arrays: list[Any] = []
    for item in plainly:
        array = isinstance(item, np.ndarray)
        view += [slice(None)] * _takes(item) if array else [item]
        if not isinstance(item, int):
            arrays.append(item if array else slice(None))
    x = np.broadcast_to(np.zeros(()), shape)[tuple(view)]
    masked = any(isinstance(a, np.ndarray) and a.dtype == np.bool_ for a in arrays)
    found: Shape = x[tuple(arrays)].shape
    if not masked:
        return found
    lead = len(found) - len(size)
    at = found.index(0)
    own = size[at - lead] if at >= lead else 1
    return (*found[:at], 2 if own == 1 else own, *found[at + 1 :])


def _takes(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    masked = isinstance(item, np.ndarray) and item.dtype == np.bool_
    return item.ndim if masked else 1


def index_select(g: Row) -> Cotangents:
    if g["input"].ndim == 0:
        return {"input": g.d.reshape_as(g["input"])}
    return {"input": added(g, "index_add", "index", "source")}


def added(g: Row, name: str, index: str, source: str) -> Term:
    """Zeros like the input with the cotangent added by op `name`."""
    x = g["input"]
    args = {"dim": g.arg("dim"), "index": g[index], source: g.d}
    return g.tape.op(name, like=x, input=x.zeros_like(), **args)


def gather(g: Row) -> Cotangents:
    return {"input": added(g, "scatter_add", "index", "src")}


def take(g: Row) -> Cotangents:
    return {"input": put_back(g, g["index"])}


def put_back(g: Row, index: Term) -> Term:
    """Zeros like the input with the cotangent added at flat positions."""
    x = g["input"]
    return g.tape.op(
        "put", like=x, input=x.zeros_like(), index=index, source=g.d, accumulate=True
    )


def take_along_dim(g: Row) -> Cotangents:
    x, indices = g["input"], g["indices"]
    if not g.has("dim"):
        return {"input": put_back(g, indices)}
    dim = g.const("dim") % x.ndim
    shapes = []
    for sizes, other in ((x.shape, indices.shape), (x.witness, indices.witness)):
        both = np.broadcast_shapes(
            *((*s[:dim], 1, *s[dim + 1 :]) for s in (sizes, other))
        )
        shapes.append((*both[:dim], sizes[dim], *both[dim + 1 :]))
    back = g.tape.op(
        "take_along_dim_backward", like=x, shape=shapes[0], witness=shapes[1],
        d=g.d, input=x, indices=indices, dim=dim,
    )  # fmt: skip
    return {"input": back}


def gathered(g: Row, src: str) -> Term:
    """The cotangent where `src` was written; 0 for what the index leaves out of it."""
    source, index = g[src], g["index"]
    d = g.tape.op(
        "gather", like=index, dtype=g.d.dtype, input=g.d, dim=g.arg("dim"), index=index
    )
    if (source.shape, source.witness) == (index.shape, index.witness):
        return d
    return g.tape.op("fit", like=source, dtype=g.d.dtype, input=d, other=source)


def scatter(g: Row) -> Cotangents:
    if g.has("reduce"):
        raise NoGradient("scatter with reduce", "use scatter_reduce or scatter_add")
    args = {"dim": g.arg("dim"), "index": g["index"], "value": 0}
    found: Cotangents = {"input": g.tape.op("scatter", like=g.d, input=g.d, **args)}
    if g.is_tensor("src"):
        found["src"] = gathered(g, "src")
    return found


def scatter_add(g: Row) -> Cotangents:
    return {"input": g.d, "src": gathered(g, "src")}


def selected(g: Row) -> Term:
    """The cotangent's slices that `source` was written to."""
    return g.tape.op(
        "index_select", like=g["source"], dtype=g.d.dtype,
        input=g.d, dim=g.arg("dim"), index=g["index"],
    )  # fmt: skip


def index_add(g: Row) -> Cotangents:
    d = selected(g)
    if g.has("alpha"):
        d = d * g.const("alpha")
    return {"input": g.d, "source": d}


def emptied(g: Row) -> Term:
    """The cotangent with 0 in the slices that were overwritten."""
    args = {"dim": g.arg("dim"), "index": g["index"], "value": 0}
    return g.tape.op("index_fill", like=g.d, input=g.d, **args)


def index_copy(g: Row) -> Cotangents:
    return {"input": emptied(g), "source": selected(g)}


def index_fill(g: Row) -> Cotangents:
    found: Cotangents = {"input": emptied(g)}
    if g.is_tensor("value"):
        found["value"] = (g.d - found["input"]).sum()
    return found


def reduced(src: str) -> Vjp:
    """scatter_reduce and index_reduce: what was reduced shares the cotangent."""

    def row(g: Row) -> Cotangents:
        x, source = g["input"], g[src]
        args = {
            "d": g.d, "input": x, "dim": g.arg("dim"), "index": g["index"],
            "src": source, "y": g.out, "reduce": g.const("reduce"),
        }  # fmt: skip
        if g.has("include_self"):
            args["include_self"] = g.const("include_self")
        if src == "source":
            args["index"] = spread(g, source)
        like = (x, source)
        results = tuple(Value(g.d.dtype, t.shape, t.witness) for t in like)
        d_x, d_src = g.tape.emit("scatter_reduce_backward", args, results)
        return {"input": d_x, src: d_src}

    return row


def spread(g: Row, source: Term) -> Term:
    """The index along dim as one for each element of source."""
    index, dim = g["index"], g.const("dim") % max(source.ndim, 1)
    if source.ndim == 0:
        return index
    for _ in range(source.ndim - 1 - dim):
        index = index.unsqueeze(-1)
    return index.expand_as(source)


def put(g: Row) -> Cotangents:
    index, source = g["index"], g["source"]
    taken = g.tape.op("take", like=index, dtype=g.d.dtype, input=g.d, index=index)
    found = {"input": g.d, "source": taken.reshape_as(source)}
    if not g.const("accumulate", False):
        args: dict[str, Any] = {"index": index, "source": source.zeros_like()}
        found["input"] = g.tape.op("put", like=g.d, input=g.d, **args)
    return found


def overwritten(read: str) -> Vjp:
    """Nothing of the input where `src` went, and for `src` what `read` finds there."""

    def row(g: Row) -> Cotangents:
        where = g.others("input", "src")
        src = g["src"]
        d = g.tape.op(f"{read}_scatter", like=g.d, input=g.d, src=0, **where)
        d_src = g.tape.op(read, like=src, dtype=g.d.dtype, input=g.d, **where)
        return {"input": d, "src": d_src}

    return row


def diagonal_scatter(g: Row) -> Cotangents:
    where = g.others("input", "src")
    src = g["src"]
    zeros = src.zeros_like()
    d = g.tape.op("diagonal_scatter", like=g.d, input=g.d, src=zeros, **where)
    read = g.tape.op("diagonal", like=src, dtype=g.d.dtype, input=g.d, **where)
    return {"input": d, "src": read}


def no_unique(g: Row) -> Cotangents:
    raise NoGradient(f"torch.{g.op.name} has no gradient", "detach its input")


VJP: dict[str, Vjp] = {
    "getitem": getitem,
    "select": select,
    "select_copy": select,
    "narrow": narrow,
    "narrow_copy": narrow,
    "slice": part,
    "slice_copy": part,
    "setitem": setitem,
    "index": index,
    "_unsafe_index": index,
    "index_put": index_put,
    "_unsafe_index_put": index_put,
    "_index_put_impl": index_put,
    "index_select": index_select,
    "index_add": index_add,
    "index_copy": index_copy,
    "index_fill": index_fill,
    "index_reduce": reduced("source"),
    "gather": gather,
    "scatter": scatter,
    "scatter_add": scatter_add,
    "scatter_reduce": reduced("src"),
    "take": take,
    "take_along_dim": take_along_dim,
    "put": put,
    "slice_scatter": overwritten("slice"),
    "select_scatter": overwritten("select"),
    "diagonal_scatter": diagonal_scatter,
    "unique": no_unique,
    "unique_consecutive": no_unique,
}
