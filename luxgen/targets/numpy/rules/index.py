"""Indexing: getitem and setitem, gather and scatter, masks, searching."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from luxgen.ir.values import Dim, Leaf, Value
from luxgen.targets.numpy.rules.op import CALL, Op, Refused, Rule, helper
from luxgen.targets.numpy.rules.promotion import kind, np_dtype, promoted
from luxgen.targets.numpy.rules.shape import along


@dataclass
class Part:
    """One item of an index: what it does to the dims, and its item to print.

    `kind` is "int" (drops a dim), "slice" (keeps one), "new" (adds one) or "array"
    (turns `takes` dims into the `gives` dims that all arrays share).
    """

    kind: str
    item: Any
    takes: int = 1
    gives: int = 0


def parts(op: Op, index: Any) -> list[Part]:
    """The items of an index, an Ellipsis as the slices it stands for."""
    items = list(index) if isinstance(index, tuple) else [index]
    found = [_part(op, item) for item in items]
    taken = sum(p.takes for p in found)
    rest = [Part("slice", slice(None)) for _ in range(op.ndim("input") - taken)]
    at = [k for k, item in enumerate(items) if item is Ellipsis]
    if len(at) > 1:
        raise Refused("an index with two Ellipses", "write the dims out")
    k = at[0] if at else len(found)
    return [*found[:k], *rest, *found[k + len(at) :]]


def _part(op: Op, item: Any) -> Part:
    if item is None:
        return Part("new", None, takes=0)
    if item is Ellipsis:
        return Part("slice", item, takes=0)
    if isinstance(item, slice):
        return Part("slice", item)
    if isinstance(item, bool):
        raise Refused("indexing by True or False", "use unsqueeze, or a mask tensor")
    if isinstance(item, (int, Dim)):
        return Part("int", item)
    if isinstance(item, (Value, Leaf)):
        return _tensor(op, item)
    if isinstance(item, (list, tuple, range)):
        return Part("array", list(item), gives=_depth(item))
    raise Refused(f"indexing by a {type(item).__name__}", "index with tensors or ints")


def _tensor(op: Op, item: Value | Leaf) -> Part:
    if item.dtype in ("bool", "uint8"):
        if item.ndim == 0:
            raise Refused("indexing by a 0-d mask", "use torch.where")
        if item.dtype == "uint8":
            raise Refused("a uint8 tensor as mask", "make the mask a bool tensor")
        return Part("array", item, takes=item.ndim, gives=1)
    if item.ndim == 0:
        return Part("int", item)
    return Part("array", item, gives=item.ndim)


def _depth(item: Any) -> int:
    return (
        1 + (_depth(item[0]) if item else 0) if isinstance(item, (list, tuple)) else 0
    )


def place(found: list[Part], counted: set[str]) -> int:
    """Where the dims of the arrays end up: NumPy counts ints as arrays, torch doesn't.

    Both put them where the first one stood, or first if others stand between them.
    """
    if "int" not in counted:
        found = [p for p in found if p.kind != "int"]
    at = [k for k, p in enumerate(found) if p.kind in counted]
    if at[-1] - at[0] + 1 != len(at):
        return 0
    return sum(p.kind in ("slice", "new") for p in found[: at[0]])


def indices(op: Op, name: str = "index") -> list[str]:
    """New arguments to index with, one after the other, as torch indexes once."""
    index = op.args[name]
    found = parts(op, index)
    arrays = [p for p in found if p.kind == "array"]
    if not arrays or place(found, {"array"}) == place(found, {"array", "int"}):
        items = index if isinstance(index, tuple) else (index,)
        op.args["index_0"] = _printed([_plain(i) for i in items])
        return ["index_0"]
    whole = slice(None)
    view = [whole if p.kind == "array" else p.item for p in found for _ in range(_n(p))]
    rest = [p.item if p.kind == "array" else whole for p in found if p.kind != "int"]
    op.args["index_0"], op.args["index_1"] = _printed(view), _printed(rest)
    return ["index_0", "index_1"]


def parts_of(op: Op) -> list[Any]:
    """The items of the first of two indices."""
    view = op.args["index_0"]
    return list(view) if isinstance(view, tuple) else [view]


def _n(part: Part) -> int:
    return part.takes if part.kind == "array" else 1


def _plain(item: Any) -> Any:
    return list(item) if isinstance(item, (tuple, range)) else item


def _printed(items: list[Any]) -> Any:
    """The index without trailing full slices, bare if there is one item."""
    while len(items) > 1 and items[-1] == slice(None) and Ellipsis not in items:
        items = items[:-1]
    return items[0] if len(items) == 1 else tuple(items)


def getitem(op: Op) -> str:
    if op.args["index"] in ((), Ellipsis, (Ellipsis,)):
        return "input"
    return "input" + "".join(f"[{name}]" for name in indices(op))


def setitem(op: Op) -> str:
    """A mask over all dims and one value is np.where; else copy and assign."""
    index = op.args["index"]
    if isinstance(index, tuple) and len(index) == 1:
        index = index[0]
    mask = isinstance(index, (Value, Leaf)) and index.dtype == "bool"
    if (
        mask
        and index.shape == op.shape("input")
        and index.ndim
        and not op.ndim("value")
    ):
        from luxgen.targets.numpy.rules.comparison import masked_fill

        op.args["mask"] = index
        return masked_fill(op)
    names = indices(op)
    if len(names) > 1 and any(isinstance(i, (Value, Leaf)) for i in parts_of(op)):
        raise Refused(
            "writing at a 0-d tensor mixed with index tensors", "index in two steps"
        )
    inner = f", inner=np.s_[{names[1]}]" if len(names) > 1 else ""
    return f"setitem(input, np.s_[{names[0]}], value{inner})"


def index(op: Op) -> str:
    """aten's form: a tensor or None for each dim."""
    _aten_index(op)
    return "input[index_0]"


def _aten_index(op: Op) -> None:
    items = [slice(None) if i is None else i for i in op.args["indices"]]
    for item in items:
        if isinstance(item, (Value, Leaf)) and item.ndim > 0:
            _part(op, item)
    op.args["index_0"] = _printed(items)


def index_put(op: Op) -> str:
    _aten_index(op)
    if op.args.get("accumulate"):
        return "index_put(input, np.s_[index_0], values)"
    return "setitem(input, np.s_[index_0], values)"


def index_select(op: Op) -> str:
    ndim = op.ndim("input")
    if ndim == 0:
        return "input"
    index = "index" if op.ndim("index") else "np.atleast_1d(index)"
    return f"input[{along(ndim, op.const('dim'), index)}]"


def lifted(rule: Rule) -> Rule:
    """0-d tensors as torch takes them: as 1-d tensors of one element."""

    def lift(op: Op) -> str:
        text = rule if isinstance(rule, str) else rule(op)
        scalars = [n for n in op.args if op.is_tensor(n) and op.ndim(n) == 0]
        if "index" in scalars or "input" in scalars:
            for name in scalars:
                whole = rf"(?<![\w.]){name}(?![\w=])"
                text = re.sub(whole, f"np.atleast_1d({name})", text)
            if op.out_ndim == 0:
                text += ".reshape(())"
        return text

    return lift


def gather(op: Op) -> str:
    """np.take_along_axis broadcasts where torch takes the index's part of input."""
    dim = op.const("dim") % max(op.ndim("input"), 1)
    if max(op.ndim("input"), 1) != max(op.ndim("index"), 1):
        raise Refused("gather with an index of other dims", "give index input's dims")
    pairs = zip(op.shape("input"), op.shape("index"), strict=False)
    if all(a == b for d, (a, b) in enumerate(pairs) if d != dim):
        return "np.take_along_axis(input, index, axis=dim)"
    return "gather(input, dim, index)"


def scatter(op: Op) -> str:
    """src may be a tensor or a number; `reduce` of the old interface adds to input."""
    src = "src" if "src" in op.args else "value"
    if op.has("reduce"):
        name = {"add": "sum", "multiply": "prod"}[op.const("reduce")]
        if not op.is_tensor(src):
            src = f"np.full(index.shape, {src}, {np_dtype(op.dtype('input'))})"
        return f'scatter_reduce(input, dim, index, {src}, "{name}")'
    return f"scatter(input, dim, index, {src})"


def index_add(op: Op) -> str:
    if "alpha" in op.args:
        scaled = promoted(op, "alpha * source", "alpha", "source")
        return f"index_add(input, dim, index, {scaled})"
    return "index_add(input, dim, index, source)"


def take_along_dim(op: Op) -> str:
    if not op.has("dim"):
        return "input.reshape(-1)[indices.reshape(-1)]"
    dim = op.const("dim") % op.ndim("input")
    pairs = zip(op.shape("input"), op.shape("indices"), strict=True)
    if all(a == b for d, (a, b) in enumerate(pairs) if d != dim):
        return "np.take_along_axis(input, indices, axis=dim)"
    return "take_along_dim(input, indices, dim)"


def nonzero(op: Op) -> str:
    if op.args.get("as_tuple"):
        return f"np.nonzero({'input' if op.ndim('input') else 'np.atleast_1d(input)'})"
    return "np.argwhere(input)"


def searchsorted(op: Op) -> str:
    right = op.args.get("right") is True or op.args.get("side") == "right"
    side = ', side="right"' if right else ""
    if "boundaries" in op.args:
        text = f"np.searchsorted(boundaries, input{side})"
    else:
        if "self" in op.args:
            op.args["input"] = op.args["self"]
        sequence = "sorted_sequence"
        if op.has("sorter"):
            sequence = "np.take_along_axis(sorted_sequence, sorter, axis=-1)"
        if op.ndim("sorted_sequence") == 1:
            text = f"np.searchsorted({sequence}, input{side})"
        else:
            side = ", right=True" if right else ""
            text = f"searchsorted({sequence}, input{side})"
    return f"{text}.astype(np.int32)" if op.args.get("out_int32") else text


def isin(op: Op) -> str:
    given = ", invert=True" if op.args.get("invert") else ""
    names = [n for n in ("elements", "element") if n in op.args]
    tests = [n for n in ("test_elements", "test_element") if n in op.args]
    return f"np.isin({names[0]}, {tests[0]}{given})"


def unique(op: Op) -> str:
    """torch counts NaNs apart, and gives values alone unless asked for more."""
    if {"return_inverse", "return_counts"} & {
        n for n, v in op.args.items() if v is True
    }:
        return picked(op, "unique")
    axis = f", axis={op.const('dim')}" if op.has("dim") else ""
    nan = ", equal_nan=False" if kind(op.dtype("input")) >= 2 else ""
    return f"np.unique(input{axis}{nan})"


def picked(op: Op, function: str) -> str:
    """Values, inverse and counts, as far as they are asked for."""
    dim = f", dim={op.const('dim')}" if op.has("dim") else ""
    given = tuple(op.args.get(n, False) for n in ("return_inverse", "return_counts"))
    pick = {
        (False, False): "[0]",
        (True, False): "[:2]",
        (False, True): "[::2]",
        (True, True): "",
    }[given]
    return f"{function}(input{dim}){pick}"


RULES: dict[str, Rule] = {
    "getitem": getitem,
    "setitem": setitem,
    "index": index,
    "_unsafe_index": index,
    "index_put": index_put,
    "_unsafe_index_put": index_put,
    "_index_put_impl": index_put,
    "index_select": index_select,
    "index_add": lifted(index_add),
    "index_copy": CALL,
    "index_fill": CALL,
    "index_reduce": lifted(lambda op: helper(op)),
    "gather": lifted(gather),
    "scatter": lifted(scatter),
    "scatter_add": lifted("scatter_add(input, dim, index, src)"),
    "scatter_reduce": lifted(lambda op: helper(op)),
    "take": "np.take(input, index)",
    "take_along_dim": take_along_dim,
    "put": CALL,
    "nonzero": nonzero,
    "argwhere": "np.argwhere(input)",
    "nonzero_static": CALL,
    "searchsorted": searchsorted,
    "bucketize": searchsorted,
    "isin": isin,
    "unique": unique,
    "unique_consecutive": lambda op: picked(op, "unique_consecutive"),
}
