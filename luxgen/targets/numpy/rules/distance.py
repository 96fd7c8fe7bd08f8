"""Distances and similarities of vectors."""

from __future__ import annotations

from luxgen.targets.numpy.rules.forms import (
    batched,
    call,
    pointwise,
    promoted_tensors,
    scalar,
)
from luxgen.targets.numpy.rules.op import Op, Rule

ALWAYS_BY_PRODUCT = "use_mm_for_euclid_dist"
NEVER_BY_PRODUCT = "donot_use_mm_for_euclid_dist"
COMPUTE_MODES = {1: ALWAYS_BY_PRODUCT, 2: NEVER_BY_PRODUCT}  # what the builtin takes


def cosine_similarity(op: Op) -> str:
    if op.ndim("x1") or op.ndim("x2"):
        return scalar(op, promoted_tensors(op, call(op, "cosine_similarity")))
    text = call(op, "cosine_similarity", "dim", more="dim=0")
    return batched(text, "x1", "x2")


def by_product(op: Op) -> bool:
    """torch goes by a matrix product for p = 2 and more than 25 rows."""
    mode = op.const("compute_mode")
    mode = COMPUTE_MODES.get(mode, mode)
    rows = max(op.shape("x1")[-2], op.shape("x2")[-2])
    many = rows > 25 and mode != NEVER_BY_PRODUCT
    return bool(op.const("p", 2.0) == 2 and (many or mode == ALWAYS_BY_PRODUCT))


def cdist(op: Op) -> str:
    if by_product(op):
        return call(op, "cdist_euclid", "p", "compute_mode")
    return call(op, "cdist", "compute_mode")


RULES: dict[str, Rule] = {
    "cosine_similarity": cosine_similarity,
    "pairwise_distance": pointwise(),
    "cdist": cdist,
    "pdist": pointwise(),
}
