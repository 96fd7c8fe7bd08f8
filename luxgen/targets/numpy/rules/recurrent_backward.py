"""Rules of recurrent layers and cells that save, and of their ways back."""

from __future__ import annotations

from dataclasses import replace

from luxgen.targets.numpy.rules.op import Op, Rule, helper
from luxgen.targets.numpy.rules.recurrent import cell, form, layers
from luxgen.targets.numpy.rules.saving import saving


def layers_backward(name: str) -> Rule:
    def rule(op: Op) -> str:
        num_layers = op.const("num_layers", 1)
        target = form(name, num_layers, op.const("bidirectional", False))
        unused = () if num_layers > 1 else ("bidirectional",)
        args = {key: value for key, value in op.args.items() if key not in unused}
        return helper(replace(op, args=args), f"{target}_backward", ps="weights")

    return rule


def cell_backward(op: Op) -> str:
    return helper(op, ps="weights")


KINDS = ("lstm", "gru", "rnn")

RULES: dict[str, Rule] = {
    **{f"{name}_saved": saving(layers(name)) for name in KINDS},
    **{f"{name}_backward": layers_backward(name) for name in KINDS},
    **{f"{name}_cell_saved": saving(cell(f"{name}_cell")) for name in KINDS},
    **{f"{name}_cell_backward": cell_backward for name in KINDS},
}

STATEFUL: dict[str, Rule] = {
    f"{name}_saved": saving(layers(name, stateful=True)) for name in KINDS
}
