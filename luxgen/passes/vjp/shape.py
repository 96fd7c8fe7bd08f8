"""VJP rows of reshaping, permuting, repeating, diagonals and triangles."""

from __future__ import annotations

from typing import Any

from luxgen.passes.vjp.joining import cut, seen
from luxgen.passes.vjp.row import Cotangents, NoGradient, Row, Vjp
from luxgen.passes.vjp.terms import Term


def like_input(g: Row, name: str, d: Term | None = None, **args: Any) -> Term:
    """Op `name` of the cotangent, which makes it look like the op's input."""
    d = g.d if d is None else d
    return g.tape.op(name, like=g["input"], dtype=d.dtype, input=d, **args)


def reshaped(g: Row) -> Cotangents:
    return {"input": g.d.reshape_as(g["input"])}


def view(g: Row) -> Cotangents:
    """Also Tensor.view(dtype), which reads the bits otherwise."""
    if g.has("dtype") or isinstance(g.arg("size"), str):
        raise NoGradient("view as another dtype", "convert it with to(dtype)")
    return reshaped(g)


def unchanged(g: Row) -> Cotangents:
    return {"input": g.d}


def again(g: Row) -> Cotangents:
    """The op undoes itself, and is its own transpose."""
    return {"input": like_input(g, g.op.name, **g.others("input"))}


def permute(g: Row) -> Cotangents:
    dims = g.const("dims")
    ndim = g["input"].ndim
    order = [d % ndim for d in dims]
    inverse = tuple(order.index(k) for k in range(ndim))
    return {"input": g.d.permute(inverse) if ndim else g.d}


def movedim(g: Row) -> Cotangents:
    back = {"source": g.arg("destination"), "destination": g.arg("source")}
    return {"input": like_input(g, "movedim", **back)}


def unsqueeze(g: Row) -> Cotangents:
    return {"input": g.d.squeeze(g.const("dim"))}


def squeeze(g: Row) -> Cotangents:
    """Of one dim that was dropped in both traces: put it back."""
    x, dim = g["input"], g.const("dim")
    if isinstance(dim, (tuple, list)) and len(dim) == 1:
        dim = dim[0]
    if not isinstance(dim, int) or g.d.ndim == x.ndim:
        return reshaped(g)
    if x.shape[dim] != 1 or x.witness[dim] != 1:
        return reshaped(g)
    return {"input": g.d.unsqueeze(dim % x.ndim)}


def tiled(name: str) -> Vjp:
    """The sum over all tiles."""

    def row(g: Row) -> Cotangents:
        x, repeats = g["input"], g.arg(name)
        if not isinstance(repeats, (tuple, list)):
            repeats = (repeats,)
        back = g.tape.op(
            "tile_backward", like=x, d=g.d, input=x, repeats=tuple(repeats)
        )
        return {"input": back}

    return row


def repeat_interleave(g: Row) -> Cotangents:
    if not g.has("input"):
        return {}
    x = g["input"]
    flat = not g.has("dim")
    dim = 0 if flat else g.const("dim") % max(x.ndim, 1)
    if g.is_tensor("repeats"):
        args: dict[str, Any] = {"d": g.d, "input": x, "repeats": g["repeats"]}
        if not flat:
            args["dim"] = dim
        return {"input": g.tape.op("repeat_interleave_backward", like=x, **args)}
    repeats = g["repeats"]
    count = x.numel if flat else (x.size(dim) if x.ndim else Term(1, g.tape))
    n = [seen(t) for t in (count, repeats)]
    shapes = [
        (*s[:dim], n[0][k], n[1][k], *s[dim + 1 :])
        for k, s in enumerate((g.d.shape, g.d.witness))
    ]
    split = g.tape.op(
        "unflatten", like=g.d, shape=shapes[0], witness=shapes[1],
        input=g.d, dim=dim, sizes=(count, repeats),
    )  # fmt: skip
    return {"input": split.sum(dim + 1).reshape_as(x)}


def roll(g: Row) -> Cotangents:
    shifts = g.arg("shifts")
    if isinstance(shifts, (tuple, list)):
        back: Any = tuple(-Term(s, g.tape) for s in shifts)
    else:
        back = -Term(shifts, g.tape)
    return {"input": like_input(g, "roll", **(g.others("input") | {"shifts": back}))}


def rot90(g: Row) -> Cotangents:
    turns = g.others("input") | {"k": -g.const("k", 1)}
    return {"input": like_input(g, "rot90", **turns)}


def diagonal(g: Row) -> Cotangents:
    return {"input": on_diagonal(g, **g.others("input"))}


def on_diagonal(g: Row, **where: Any) -> Term:
    """Zeros like the input with the cotangent on a diagonal."""
    zeros = g["input"].zeros_like()
    return g.tape.op("diagonal_scatter", like=zeros, input=zeros, src=g.d, **where)


def diag(g: Row) -> Cotangents:
    where: dict[str, Any] = {"offset": g.arg("diagonal")} if g.has("diagonal") else {}
    if g["input"].ndim == 1:
        return {"input": like_input(g, "diagonal", **where)}
    return {"input": on_diagonal(g, **where)}


def diagflat(g: Row) -> Cotangents:
    x = g["input"]
    shapes: dict[str, Any] = {}
    for name, shape in (("shape", g["input"].shape), ("witness", g["input"].witness)):
        size = 1
        for n in shape:
            size *= n
        shapes[name] = (size,)
    line = g.tape.op("diagonal", like=g.d, **shapes, input=g.d, **g.others("input"))
    return {"input": line.reshape_as(x)}


def diag_embed(g: Row) -> Cotangents:
    where: dict[str, Any] = {"dim1": -2, "dim2": -1} | g.others("input")
    return {"input": like_input(g, "diagonal", **where)}


def fill_diagonal(g: Row) -> Cotangents:
    kept = g.others("input") | {"fill_value": 0}
    return {"input": like_input(g, "fill_diagonal", **kept)}


def diff(g: Row) -> Cotangents:
    """Of the input between what is prepended and appended."""
    x = g["input"]
    if g.const("n", 1) == 0:
        return {"input": g.d}
    names = [n for n in ("prepend", "input", "append") if g.has(n)]
    n, dim = g.const("n", 1), g.const("dim", -1) % x.ndim
    shapes: dict[str, Any] = {}
    for trace in ("shape", "witness"):
        sizes = list(getattr(x, trace))
        sizes[dim] = sum(getattr(g[name], trace)[dim] for name in names)
        shapes[trace] = tuple(sizes)
    total: Term | int = 0
    for name in names:
        total = g[name].size(dim) + total if total else g[name].size(dim)
    option: dict[str, Any] = {} if n == 1 else {"n": n, "size": total}
    if dim != x.ndim - 1:
        option["dim"] = dim
    back = g.tape.op("diff_backward", like=g.d, **shapes, d=g.d, **option)
    if len(names) == 1:
        return {"input": back}
    pieces = cut(back, [g[name] for name in names], dim)
    return dict(zip(names, pieces, strict=True))


def gradient(g: Row) -> Cotangents:
    """A sum over the dims that were differentiated along."""
    x, given = g["input"], g.const("dim")
    dims = range(x.ndim) if given is None else given
    dims = [dims] if isinstance(dims, int) else list(dims)
    spacing = g.arg("spacing")
    if isinstance(spacing, (tuple, list)):
        steps: list[Any] = list(spacing)
    else:
        steps = [spacing] * len(dims)
    total: Term | None = None
    for k, (dim, step) in enumerate(zip(dims, steps, strict=True)):
        if g.given[k] is None:
            continue
        options: dict[str, Any] = {"dim": dim % x.ndim}
        if step is not None:
            options["spacing"] = step
        if g.has("edge_order"):
            options["edge_order"] = g.const("edge_order")
        d = g.d_of(k)
        part = g.tape.op("gradient_backward", like=x, dtype=d.dtype, d=d, **options)
        total = part if total is None else total + part
    return {"input": total}


def as_strided(g: Row) -> Cotangents:
    """Elements that were read several times get the sum."""
    x = g["input"]
    places = g.others("input", "contiguous")
    return {"input": g.tape.op("as_strided_backward", like=x, d=g.d, input=x, **places)}


def combinations(g: Row) -> Cotangents:
    """The positions of what was combined are the combinations of the positions."""
    x = g["input"]
    place = g.tape.op("arange", dtype="int64", shape=x.shape, witness=x.witness,
                      end=x.size(0))  # fmt: skip
    chosen = g.tape.op(
        "combinations", like=g.d, dtype="int64", input=place, **g.others("input")
    )
    return {
        "input": g.tape.op(
            "put", like=x, input=x.zeros_like(), index=chosen, source=g.d,
            accumulate=True,
        )
    }  # fmt: skip


VJP: dict[str, Vjp] = {
    "reshape": reshaped,
    "view": view,
    "_unsafe_view": reshaped,
    "view_as": reshaped,
    "reshape_as": reshaped,
    "flatten": reshaped,
    "ravel": reshaped,
    "unflatten": reshaped,
    "permute": permute,
    "transpose": again,
    "t": again,
    "T": again,
    "mT": again,
    "H": again,
    "mH": again,
    "adjoint": again,
    "movedim": movedim,
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    "expand": unchanged,
    "broadcast_to": unchanged,
    "expand_as": unchanged,
    "repeat": tiled("repeats"),
    "tile": tiled("dims"),
    "repeat_interleave": repeat_interleave,
    "roll": roll,
    "flip": again,
    "fliplr": again,
    "flipud": again,
    "rot90": rot90,
    "diagonal": diagonal,
    "diag": diag,
    "diagflat": diagflat,
    "diag_embed": diag_embed,
    "fill_diagonal": fill_diagonal,
    "tril": again,
    "triu": again,
    "diff": diff,
    "gradient": gradient,
    "as_strided": as_strided,
    "as_strided_copy": as_strided,
    "combinations": combinations,
}
COPIES = (
    "view", "expand", "permute", "transpose", "t", "unsqueeze", "squeeze", "diagonal",
)  # fmt: skip
VJP.update({f"{name}_copy": VJP[name] for name in COPIES})
