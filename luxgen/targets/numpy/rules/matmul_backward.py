"""Rules of the ops that gradients of matrix products add."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import CALL, Rule

RULES: dict[str, Rule] = {
    "diagonals_backward": CALL,
    "kron_backward": "kron_backward(d, input, other)",
}
