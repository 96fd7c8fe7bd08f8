"""VJP rows of recurrent layers and cells: forward saves its gates and states."""

from __future__ import annotations

from typing import Any

from luxgen.ir.values import Arg, Node, Value
from luxgen.passes.vjp.row import Cotangents, NoGradient, Row, Vjp
from luxgen.passes.vjp.terms import OPAQUE

TREE = "tree"  # a cotangent of all leaves of a node


def like(item: Arg) -> Arg:
    """New values in the structure of `item`, for its cotangents."""
    if isinstance(item, (tuple, list)):
        return tuple(like(part) for part in item)
    if isinstance(item, Node):
        return Value(TREE)
    return Value(item.dtype, item.shape, item.witness)


def layers(name: str, nonlinearity: str = "tanh") -> Vjp:
    """torch.nn.LSTM, GRU, RNN, or torch.lstm, gru, rnn_tanh, rnn_relu."""

    def row(g: Row) -> Cotangents:
        given, weights = g.given, "weights"
        d = g.d
        if "params" in g.op.args:
            weights = "params"
            g.op.args = of_functional(g, nonlinearity)
            if name == "lstm":  # torch's flat result, as the layer has it
                y, h, c = g.op.result
                g.op.result = (y, (h, c))
        args = {k: g.arg(k) for k in OPTIONS if g.has(k)}
        held, hx = g.arg("weights"), g.arg("hx")
        last = {"d_h": given[1], "d_c": given[2] if name == "lstm" else None}
        args |= {k: v for k, v in last.items() if v is not None}
        dropping = g.const("num_layers", 1) > 1 and g.const("dropout", 0.0) > 0
        variant = f"{name}_saved"
        if dropping and g.op.state is not None:
            saved = g.save_parts(variant, "saved", "masks")
            args["p"] = g.arg("dropout")
        else:
            saved = {"saved": g.save(variant)}
        start = Value(OPAQUE) if hx is None else like(hx)
        results = (like(g.arg("input")), start, like(held))
        found = g.tape.emit(
            f"{name}_backward", {"d": d, **saved, "weights": held, **args}, results
        )
        cotangents = {"input": found[0], weights: found[2]}
        return cotangents if hx is None else cotangents | {"hx": found[1]}

    return row


OPTIONS = ("num_layers", "nonlinearity", "bias", "batch_first", "bidirectional",
           "proj_size")  # fmt: skip


def of_functional(g: Row, nonlinearity: str) -> dict[str, Arg]:
    """A functional call's arguments as the layer has them."""
    if g.op.overload == "data":
        raise NoGradient(f"{g.op.name} of a PackedSequence", "pass a padded tensor")
    params, hx = tuple(g.op.args["params"]), g.op.args["hx"]
    num_layers, both = g.const("num_layers"), g.const("bidirectional")
    if g.const("train") and g.const("dropout") > 0 and num_layers > 1:
        reason = f"torch.{g.op.name} with dropout between layers"
        raise NoGradient(reason, "use the torch.nn layer, or set dropout=0")
    own = params[: len(params) // (num_layers * (1 + both))]
    options: dict[str, tuple[Any, Any]] = {  # and their defaults
        "nonlinearity": (nonlinearity, "tanh"),
        "num_layers": (num_layers, 1),
        "bias": (g.const("has_biases"), True),
        "batch_first": (g.const("batch_first"), False),
        "bidirectional": (both, False),
        "proj_size": (own[-1].shape[0] if len(own) % 2 else 0, 0),  # weight_hr (P, H)
    }
    start = tuple(hx) if isinstance(hx, list) else hx
    args: dict[str, Arg] = {"input": g.op.args["input"], "weights": params, "hx": start}
    return args | {k: v for k, (v, default) in options.items() if v != default}


def cell(name: str, nonlinearity: str = "tanh") -> Vjp:
    """torch.nn's cells and torch's functions; a missing state has no cotangent."""

    def row(g: Row) -> Cotangents:
        states = ("h", "c") if name == "lstm_cell" else ("h",)
        names = [k for k in WEIGHTS if g.has(k)]  # of a functional call
        if names:
            g.op.args = of_functional_cell(g, states, names, nonlinearity)
        held = g.arg("weights")
        count = len(held.leaves) if isinstance(held, Node) else len(held)
        args: dict[str, Arg] = {} if count > 2 else {"bias": False}
        if g.has("nonlinearity"):
            args["nonlinearity"] = g.arg("nonlinearity")
        if name == "lstm_cell":
            args |= {"d_h": g.d, "d_c": g.d_of(1)}
        else:
            args["d"] = g.d
        of_states = tuple(like(g.op.outs[0]) for _ in states)
        args |= {"saved": g.save(f"{name}_saved"), "weights": held}
        results = (like(g.arg("input")), *of_states, like(held))
        of_input, *of_states, of_weights = g.tape.emit(
            f"{name}_backward", args, results
        )
        if names:
            hx = tuple(of_states) if name == "lstm_cell" else of_states[0]
            found = {"input": of_input, "hx": hx}
            return found | dict(zip(names, of_weights, strict=True))
        given = {k: d for k, d in zip(states, of_states, strict=True) if g.has(k)}
        return {"input": of_input, **given, "weights": of_weights}

    return row


WEIGHTS = ("w_ih", "w_hh", "b_ih", "b_hh")


def of_functional_cell(
    g: Row, states: tuple[str, ...], names: list[str], nonlinearity: str
) -> dict[str, Arg]:
    """A functional call's arguments as the layer has them."""
    hx = g.op.args.get("hx")
    given = hx if isinstance(hx, (tuple, list)) else (hx,)
    args = {"input": g.op.args["input"], **dict(zip(states, given, strict=True))}
    if nonlinearity != "tanh":
        args["nonlinearity"] = nonlinearity
    return args | {"weights": tuple(g.op.args[k] for k in names)}


VJP: dict[str, Vjp] = {
    "lstm": layers("lstm"),
    "gru": layers("gru"),
    "rnn": layers("rnn"),
    "rnn_tanh": layers("rnn"),
    "rnn_relu": layers("rnn", "relu"),
    "lstm_cell": cell("lstm_cell"),
    "gru_cell": cell("gru_cell"),
    "rnn_cell": cell("rnn_cell"),
    "rnn_tanh_cell": cell("rnn_cell"),
    "rnn_relu_cell": cell("rnn_cell", "relu"),
}
