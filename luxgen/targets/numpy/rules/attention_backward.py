"""Rules of the ops that gradients of attention add."""

from __future__ import annotations

from luxgen.targets.numpy.rules.attention import (
    dot_product,
    dot_product_dropout,
    multi_head,
    multi_head_dropout,
)
from luxgen.targets.numpy.rules.op import CALL, Rule
from luxgen.targets.numpy.rules.saving import saving

RULES: dict[str, Rule] = {
    "scaled_dot_product_attention_saved": saving(dot_product),
    "scaled_dot_product_attention_backward": CALL,
    "attention_scores_backward": CALL,
    "multi_head_attention_saved": saving(multi_head),
    "multi_head_scores_backward": CALL,
    "multi_head_backward": CALL,
}

STATEFUL: dict[str, Rule] = {
    "scaled_dot_product_attention_saved": saving(dot_product_dropout),
    "multi_head_attention_saved": saving(multi_head_dropout),
}
