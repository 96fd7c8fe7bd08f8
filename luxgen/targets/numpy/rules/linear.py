"""Affine maps, embeddings and one-hot vectors."""

from __future__ import annotations

from luxgen.targets.numpy.rules.forms import call
from luxgen.targets.numpy.rules.op import CALL, Op, Refused, Rule, helper

GRADIENT_ONLY = ("scale_grad_by_freq", "sparse", "norm_type")


def linear(op: Op) -> str:
    return "input @ weight" if op.ndim("weight") == 1 else helper(op)


def refuse_max_norm(op: Op) -> None:
    if op.has("max_norm"):
        raise Refused(
            f"{op.name} with max_norm rescales the weight inside forward",
            "leave max_norm out, and clip the rows' norms in the training step",
        )


def embedding(op: Op) -> str:
    """F.embedding(input, weight) or torch.embedding(weight, indices).

    padding_idx concerns gradients only.
    """
    refuse_max_norm(op)
    index = "indices" if "indices" in op.args else "input"
    return f"weight[{index}]"


def embedding_bag(op: Op) -> str:
    """The rows of a matrix of indices reduce without a helper."""
    refuse_max_norm(op)
    if "indices" in op.args:
        raise Refused(
            "torch.embedding_bag returns helper tensors", "call F.embedding_bag"
        )
    if op.ndim("input") == 1 or op.has("padding_idx") or 0 in op.shape("input"):
        return call(op, "embedding_bag", "max_norm", *GRADIENT_ONLY)
    rows = "embedding(input, weight)"
    if op.has("per_sample_weights"):
        rows = f"({rows} * per_sample_weights[..., None])"
    return f"{rows}.{op.const('mode', 'mean')}(axis=1)"


RULES: dict[str, Rule] = {
    "linear": linear,
    "bilinear": CALL,
    "embedding": embedding,
    "embedding_bag": embedding_bag,
    "one_hot": helper,
}
