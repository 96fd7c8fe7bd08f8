"""Rules of the recurrent layers and cells.

A leaf module arrives with `input`, `weights` (the flat tuple of its parameters), the
initial state where given, and its constructor's options; a functional call arrives
with aten's argument names.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from luxgen.ir.values import Node
from luxgen.targets.numpy.rules.op import Op, Refused, Rule, helper


def layers(name: str, *, nonlinearity: str = "tanh", stateful: bool = False) -> Rule:
    """An LSTM, GRU or RNN by the one-layer helper `name` or by its stacked form."""

    def rule(op: Op) -> str:
        if "params" not in op.args:
            return module(op, name, stateful)
        return functional(op, name, nonlinearity)

    return rule


def form(name: str, num_layers: int, bidirectional: bool) -> str:
    if num_layers > 1:
        return f"stacked_{name}"
    return f"bidirectional_{name}" if bidirectional else name


def module(op: Op, name: str, stateful: bool) -> str:
    """torch.nn.LSTM, GRU, RNN; dropout acts only between layers."""
    num_layers = op.const("num_layers", 1)
    if num_layers == 1 or not op.const("dropout", 0.0):
        target = form(name, num_layers, op.const("bidirectional", False))
        unused = ("dropout",) if num_layers > 1 else ("dropout", "bidirectional")
        args = {key: value for key, value in op.args.items() if key not in unused}
        text = helper(replace(op, args=args), target, ps="weights")
        return f"({text}, state)" if stateful else text
    if not stateful:
        raise Refused(
            f"{op.name}: dropout between layers needs a random state",
            "transpile in eval mode, or set dropout=0",
        )
    drawn = replace(op, args={**op.args, "state": ...})
    target = f"stacked_{name}_dropout"
    return helper(drawn, target, ps="weights", st="state", p="dropout")


def functional(op: Op, name: str, nonlinearity: str) -> str:
    """torch.lstm, gru, rnn_tanh, rnn_relu, whose results are flat."""
    if op.overload == "data":
        raise Refused(f"{op.name} of a PackedSequence", "pass a padded tensor")
    num_layers, both = op.const("num_layers"), op.const("bidirectional")
    if op.const("train") and op.const("dropout") > 0 and num_layers > 1:
        raise Refused(
            f"torch.{op.name} with dropout between layers needs a random state",
            f"use torch.nn.{name.upper()}, or set dropout=0",
        )
    weights = op.args["params"][: len(op.args["params"]) // (num_layers * (1 + both))]
    given = {
        "nonlinearity='relu'": nonlinearity == "relu",
        "num_layers=num_layers": num_layers > 1,
        "bias=False": not op.const("has_biases"),
        "batch_first=True": op.const("batch_first"),
        "bidirectional=True": both and num_layers > 1,
    }
    if len(weights) % 2:  # weight_hr (P, H)
        given[f"proj_size={weights[-1].shape[0]}"] = True
    target = form(name, num_layers, both)
    options = "".join(f", {option}" for option, wanted in given.items() if wanted)
    if name == "lstm":
        return f"flat_lstm({target}(input, tuple(params), tuple(hx){options}))"
    return f"{target}(input, tuple(params), hx{options})"


def cell(name: str, *, nonlinearity: str = "tanh") -> Rule:
    """An LSTM, GRU or RNN cell; a missing state is zeros of the current batch."""

    def rule(op: Op) -> str:
        if "w_ih" in op.args:
            bias = op.has("b_ih")
            ps = "(w_ih, w_hh, b_ih, b_hh)" if bias else "(w_ih, w_hh)"
        else:
            bias, ps = len(leaves(op)) > 2, "weights"
        if name == "lstm_cell":
            states = ["*hx"] if "hx" in op.args else ["h", "c"]
        else:
            states = ["hx" if "hx" in op.args else "h"]
        if not op.has(states[0].lstrip("*")):
            size = leaves(op)[1].shape[1]
            zeros = f"np.zeros((*input.shape[:-1], {size}), input.dtype)"
            states = [zeros, zeros] if name == "lstm_cell" else [zeros]
        options = "" if bias else ", bias=False"
        if op.const("nonlinearity", nonlinearity) == "relu":
            options += ", nonlinearity='relu'"
        return f"{name}(input, {', '.join(states)}, {ps}{options})"

    return rule


def leaves(op: Op) -> tuple[Any, ...]:
    """The cell's parameters: weight_ih, weight_hh, and the biases if there are."""
    weights = op.args["weights"]
    return weights.leaves if isinstance(weights, Node) else tuple(weights)


RULES: dict[str, Rule] = {
    "lstm": layers("lstm"),
    "gru": layers("gru"),
    "rnn": layers("rnn"),
    "rnn_tanh": layers("rnn"),
    "rnn_relu": layers("rnn", nonlinearity="relu"),
    "lstm_cell": cell("lstm_cell"),
    "gru_cell": cell("gru_cell"),
    "rnn_cell": cell("rnn_cell"),
    "rnn_tanh_cell": cell("rnn_cell"),
    "rnn_relu_cell": cell("rnn_cell", nonlinearity="relu"),
}

STATEFUL: dict[str, Rule] = {
    "lstm": layers("lstm", stateful=True),
    "gru": layers("gru", stateful=True),
    "rnn": layers("rnn", stateful=True),
}
