"""Rules of recurrent layers and cells that save, and of their ways back."""

from __future__ import annotations

from dataclasses import replace

from luxgen.targets.numpy.rules.op import Op, Rule, helper
from luxgen.targets.numpy.rules.recurrent import cell, form, module


def saving(text: str) -> str:
    """The call of a helper as the call of its `_saved` form."""
    name, _, rest = text.partition("(")
    return f"{name}_saved({rest}"


def layers_saved(name: str) -> Rule:
    """`name`'s forward, as `layers` writes it, that also returns what it saves."""

    def rule(op: Op) -> str:
        return saving(module(op, name, False))

    return rule


def layers_dropout_saved(name: str) -> Rule:
    def rule(op: Op) -> str:
        if op.const("num_layers", 1) == 1 or not op.const("dropout", 0.0):
            return f"({saving(module(op, name, False))}, state)"
        return saving(module(op, name, True))

    return rule


def layers_backward(name: str) -> Rule:
    def rule(op: Op) -> str:
        num_layers = op.const("num_layers", 1)
        target = form(name, num_layers, op.const("bidirectional", False))
        unused = () if num_layers > 1 else ("bidirectional",)
        args = {key: value for key, value in op.args.items() if key not in unused}
        return helper(replace(op, args=args), f"{target}_backward", ps="weights")

    return rule


def cell_saved(name: str) -> Rule:
    forward = cell(name)
    return lambda op: saving(forward if isinstance(forward, str) else forward(op))


def cell_backward(op: Op) -> str:
    return helper(op, ps="weights")


KINDS = ("lstm", "gru", "rnn")

RULES: dict[str, Rule] = {
    **{f"{name}_saved": layers_saved(name) for name in KINDS},
    **{f"{name}_backward": layers_backward(name) for name in KINDS},
    **{f"{name}_cell_saved": cell_saved(f"{name}_cell") for name in KINDS},
    **{f"{name}_cell_backward": cell_backward for name in KINDS},
}

STATEFUL: dict[str, Rule] = {
    f"{name}_saved": layers_dropout_saved(name) for name in KINDS
}
