"""Ops that only gradients of indexing use."""

from __future__ import annotations

from luxgen.ir.values import Dim, Leaf, Value
from luxgen.targets.numpy.rules.index import indices, parts
from luxgen.targets.numpy.rules.op import CALL, Op, Rule


def getitem_backward(op: Op) -> str:
    """Index tensors may repeat; ints, slices and masks don't."""
    index = op.args["index"]
    if index in ((), Ellipsis, (Ellipsis,)):
        return "d"
    arrays = [p.item for p in parts(op, index) if p.kind == "array"]
    repeats = any(getattr(item, "dtype", "") != "bool" for item in arrays)
    names = indices(op)
    bare = isinstance(op.args[names[0]], (int, Value, Leaf, Dim))
    place = names[0] if bare else f"np.s_[{names[0]}]"
    text = f"getitem_backward(d, input, {place}"
    if len(names) > 1:
        text += f", inner=np.s_[{names[1]}]"
    return text + (", repeats=True)" if repeats or len(names) > 1 else ")")


RULES: dict[str, Rule] = {
    "getitem_backward": getitem_backward,
    "take_along_dim_backward": CALL,
    "fit": "fit(input, other.shape)",
    "scatter_reduce_backward": CALL,
}
