"""Rules of the ops that gradients of table look-ups add."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import CALL, Rule

RULES: dict[str, Rule] = {
    "embedding_backward": CALL,
    "embedding_bag_backward": CALL,
    "embedding_bag_samples_backward": CALL,
}
