"""Ops that gradients of dropout and random numbers add, and forms that keep draws."""

from __future__ import annotations

from luxgen.targets.numpy.rules.forms import pointwise, scalar, stateful
from luxgen.targets.numpy.rules.op import CALL, Op, Rule
from luxgen.targets.numpy.rules.random import MODE


def by_channel(name: str, unbatched: int | None = None) -> Rule:
    """Rule: one draw for each (N, C), or for each C of an input of `unbatched` dims."""

    def rule(op: Op) -> str:
        text = stateful(op, name, *MODE)
        if op.ndim("input") == unbatched:
            return f"{text[:-1]}, axes=1)"
        return f"{text[:-1]}, axes=2)" if name == "alpha_dropout_saved" else text

    return rule


def saved(name: str) -> Rule:
    return lambda op: stateful(op, name, *MODE)


def elementwise(op: Op) -> str:
    return scalar(op, CALL(op))


RULES: dict[str, Rule] = {
    "dropout_backward": elementwise,
    "alpha_dropout_backward": elementwise,
    "rrelu_backward": elementwise,
    "gumbel_softmax_backward": CALL,
    "standard_gamma_backward": pointwise(),
    "dirichlet_backward": CALL,
}

STATEFUL: dict[str, Rule] = {
    "dropout_saved": saved("dropout_saved"),
    "dropout1d_saved": by_channel("feature_dropout_saved", unbatched=2),
    "dropout2d_saved": by_channel("feature_dropout_saved"),
    "dropout3d_saved": by_channel("feature_dropout_saved", unbatched=4),
    "feature_dropout_saved": by_channel("feature_dropout_saved"),
    "alpha_dropout_saved": saved("alpha_dropout_saved"),
    "feature_alpha_dropout_saved": by_channel("alpha_dropout_saved"),
    "rrelu_saved": saved("rrelu_saved"),
    "gumbel_softmax_saved": lambda op: stateful(
        op, "gumbel_softmax_saved", "eps", "hard"
    ),
    "dirichlet_saved": lambda op: stateful(op, "dirichlet_saved", "generator"),
}
