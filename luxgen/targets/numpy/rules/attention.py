"""Rules of scaled dot-product and multi-head attention."""

from __future__ import annotations

from dataclasses import replace

from luxgen.targets.numpy.rules.op import Op, Refused, Rule, helper

DROPOUT = "attention dropout needs a random state"
WITHOUT = "transpile in eval mode, or set dropout=0"


def dot_product(op: Op) -> str:
    if op.const("dropout_p", 0.0) > 0:
        raise Refused(f"{op.name}: {DROPOUT}", WITHOUT)
    return helper(without(op, "dropout_p"))


def dot_product_dropout(op: Op) -> str:
    if not op.const("dropout_p", 0.0):
        return f"({dot_product(op)}, state)"
    drawn = replace(op, args={**op.args, "state": ...})
    return helper(drawn, "scaled_dot_product_attention_dropout", st="state")


def multi_head(op: Op) -> str:
    """torch.nn.MultiheadAttention, or F.multi_head_attention_forward."""
    op, drop = prepared(op)
    if drop is not None:
        raise Refused(f"{op.name}: {DROPOUT}", WITHOUT)
    return helper(op, "multi_head_attention", in_proj_weight=in_projection(op))


def multi_head_dropout(op: Op) -> str:
    op, drop = prepared(op)
    if drop is None:
        text = helper(op, "multi_head_attention", in_proj_weight=in_projection(op))
        return f"({text}, state)"
    drawn = replace(op, args={**op.args, "state": ..., drop: ...})
    return helper(
        drawn,
        "multi_head_attention_dropout",
        st="state",
        dropout_p=drop,
        in_proj_weight=in_projection(op),
    )


def in_projection(op: Op) -> str:
    return "q_proj_weight" if op.has("q_proj_weight") else "in_proj_weight"


def prepared(op: Op) -> tuple[Op, str | None]:
    """The op in the helper's terms, and the name of its dropout rate if one acts."""
    if op.has("static_k") or op.has("static_v"):
        raise Refused(f"{op.name} with static_k or static_v", "pass key and value")
    names = ("dropout", "dropout_p")
    rates = [
        name for name in names if op.const(name, 0.0) and op.const("training", True)
    ]
    separate = op.const("use_separate_proj_weight", op.has("q_proj_weight"))
    hint = op.const("is_causal", False)
    # torch trusts the hint only where no other mask and no weights are asked for
    causal = (
        hint and not op.has("key_padding_mask") and not op.const("need_weights", True)
    )
    unused = {
        "embed_dim_to_check",
        "training",
        "use_separate_proj_weight",
        *names,
        *(("in_proj_weight",) if separate else PROJECTIONS),
        *(("attn_mask",) if causal else ("is_causal",)),
    }
    return without(op, *unused), rates[0] if rates else None


PROJECTIONS = ("q_proj_weight", "k_proj_weight", "v_proj_weight")


def without(op: Op, *names: str) -> Op:
    """The op less arguments of these names and those that are None."""
    kept = {
        name: value
        for name, value in op.args.items()
        if name not in names and value is not None
    }
    return replace(op, args=kept)


RULES: dict[str, Rule] = {
    "scaled_dot_product_attention": dot_product,
    "multi_head_attention": multi_head,
    "multi_head_attention_forward": multi_head,
}

STATEFUL: dict[str, Rule] = {
    "scaled_dot_product_attention": dot_product_dropout,
    "multi_head_attention": multi_head_dropout,
    "multi_head_attention_forward": multi_head_dropout,
}
