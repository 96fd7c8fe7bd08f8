"""Ops that gradients of distances add."""

from __future__ import annotations

from luxgen.targets.numpy.rules.distance import by_product
from luxgen.targets.numpy.rules.forms import batched, call, promoted_tensors
from luxgen.targets.numpy.rules.op import CALL, Op, Rule


def cosine_similarity_backward(op: Op) -> str:
    name = "cosine_similarity_backward"
    if op.ndim("x1") or op.ndim("x2"):
        return promoted_tensors(op, call(op, name))
    text = batched(call(op, name, "dim", more="dim=0"), "x1", "x2")
    return f"tuple(part[0] for part in {text})"


def cdist_backward(op: Op) -> str:
    if by_product(op):
        return call(op, "cdist_euclid_backward", "p", "compute_mode")
    return call(op, "cdist_backward", "compute_mode")


RULES: dict[str, Rule] = {
    "cosine_similarity_backward": cosine_similarity_backward,
    "cdist_backward": cdist_backward,
    "pdist_backward": CALL,
}
