"""Ops that gradients add: sums over what was broadcast, and the like."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Rule


def unbroadcast(op: Op) -> str:
    """`input` summed over the dims along which `other` was broadcast to it."""
    big, small = op.args["input"], op.args["other"]
    lead = big.ndim - small.ndim
    axes = list(range(lead))
    for k in range(small.ndim):
        here = (small.shape[k], (small.witness or small.shape)[k])
        there = (big.shape[lead + k], (big.witness or big.shape)[lead + k])
        if here == (1, 1) and there != (1, 1):
            axes.append(lead + k)
    if not axes:
        return "np.broadcast_to(input, other.shape)"
    if not small.ndim:
        return "input.sum()"
    axis = str(axes[0]) if len(axes) == 1 else str(tuple(axes))
    if len(axes) == lead:
        return f"input.sum(axis={axis})"
    if not lead:
        return f"input.sum(axis={axis}, keepdims=True)"
    return f"input.sum(axis={axis}).reshape(other.shape)"


RULES: dict[str, Rule] = {
    "unbroadcast": unbroadcast,
    "gathered": "tuple(input[::-1])",
    "element": "input[k]",
    "zeros_of": "zeros_of(tree)",
    "add_trees": "add_trees(input, other)",
}
