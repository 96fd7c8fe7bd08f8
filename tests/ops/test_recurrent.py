"""Recurrent layers and cells against torch: stacks, directions, options, states."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from luxgen.frontends.bind import dtype_name
from luxgen.ir.values import Value, map_arg
from luxgen.ops.dropout import DropoutState
from luxgen.ops.recurrent_stacked import (
    stacked_gru_dropout,
    stacked_lstm_dropout,
    stacked_rnn_dropout,
)
from luxgen.targets.numpy.expression import substitute
from luxgen.targets.numpy.rules import template
from luxgen.targets.numpy.rules.op import Op, Refused
from tests.ops.opcheck import check, compare, evaluate


def leaf_text(
    name: str, module: nn.Module, args: dict[str, Any], stateful: bool = False
) -> tuple[str, dict[str, np.ndarray]]:
    """Text of a leaf module's op, bound as the front end binds it, and its arrays."""
    scope: dict[str, np.ndarray] = {}

    def value(item: Any) -> Any:
        if not isinstance(item, torch.Tensor):
            return item
        key = f"v{len(scope)}"
        scope[key] = item.detach().numpy().copy()
        return Value(dtype_name(item.dtype), tuple(item.shape), names=(key,))

    given = {**args, "weights": tuple(module.parameters())}
    bound = {key: map_arg(value, arg) for key, arg in given.items()}
    text = template(Op(name, bound), stateful=stateful)
    tree = substitute(text, bound, lambda v: ast.Name(v.names[0]))
    return ast.unparse(tree), scope


def check_leaf(name: str, module: nn.Module, args: dict[str, Any], *call: Any) -> str:
    """Our op on the module's weights against `module(*call)`."""
    with torch.no_grad():
        text, scope = leaf_text(name, module, args)
        before = {key: array.copy() for key, array in scope.items()}
        ours, low = evaluate(text, scope), module(*call)
        double = lambda a: a.double() if isinstance(a, torch.Tensor) else a  # noqa: E731
        high = module.double()(*map_arg(double, call))
    for key, array in scope.items():
        np.testing.assert_array_equal(array, before[key], f"{text} changed {key}")
    compare(ours, low, high, text)
    return text


KINDS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"batch_first": True},
    {"bidirectional": True},
    {"num_layers": 2},
    {"num_layers": 3, "bidirectional": True, "batch_first": True},
    {"num_layers": 2, "bias": False, "batch_first": True},
    {"num_layers": 2, "bidirectional": True, "bias": False},
]
CASES = [
    *((name, options) for name in KINDS for options in OPTIONS),
    ("rnn", {"nonlinearity": "relu"}),
    ("rnn", {"nonlinearity": "relu", "num_layers": 2, "bidirectional": True}),
    ("lstm", {"proj_size": 2}),
    ("lstm", {"proj_size": 2, "bias": False, "batch_first": True}),
    ("lstm", {"proj_size": 3, "num_layers": 2, "bidirectional": True}),
]


def states(name: str, options: dict[str, Any], batch: tuple[int, ...]) -> Any:
    rows = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    h = torch.randn(rows, *batch, options.get("proj_size") or 4)
    return (h, torch.randn(rows, *batch, 4)) if name == "lstm" else h


@pytest.mark.parametrize(("name", "options"), CASES)
def test_layers(name: str, options: dict[str, Any]) -> None:
    """Batched and not, with the initial state given and not."""
    for shape in ((5, 3, 6), (5, 6)):
        for given in (False, True):
            module = KINDS[name](6, 4, **options)
            x = torch.randn(*shape)
            batch = shape[1:-1]
            if options.get("batch_first"):
                x, batch = torch.randn(*shape[-2::-1], 6), shape[1:-1]
            hx = states(name, options, batch)
            args = {"input": x, **({"hx": hx} if given else {}), **options}
            check_leaf(name, module, args, x, *([hx] if given else []))


@pytest.mark.parametrize("name", KINDS)
def test_texts_name_the_helper_that_fits(name: str) -> None:
    x = torch.randn(5, 3, 6)
    texts = {
        "": {},
        "bidirectional_": {"bidirectional": True},
        "stacked_": {"num_layers": 2, "bidirectional": True},
    }
    for prefix, options in texts.items():
        module = KINDS[name](6, 4, **options)
        text = check_leaf(name, module, {"input": x, **options}, x)
        assert text.startswith(f"{prefix}{name}(v0, (v1, ")


@pytest.mark.parametrize("name", KINDS)
def test_sizes_and_dtypes(name: str) -> None:
    for shape in ((1, 1, 1), (2, 0, 3), (64, 2, 16)):
        module = KINDS[name](shape[-1], 32)
        x = 3 * torch.randn(*shape)
        check_leaf(name, module, {"input": x}, x)
    module, x = KINDS[name](6, 4).double(), torch.randn(3, 2, 6).double()
    check_leaf(name, module, {"input": x}, x)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_saturated_gates_stay_finite(name: str) -> None:
    module, x = KINDS[name](6, 4), 1e4 * torch.randn(5, 3, 6)
    with np.errstate(all="raise", under="ignore"):
        check_leaf(name, module, {"input": x}, x)


# ---- cells

CELLS = {"lstm_cell": nn.LSTMCell, "gru_cell": nn.GRUCell, "rnn_cell": nn.RNNCell}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", CELLS)
def test_cells(name: str, bias: bool) -> None:
    for shape in ((3, 6), (6,), (0, 6)):
        module = CELLS[name](6, 4, bias=bias)
        x, h, c = torch.randn(*shape), *torch.randn(2, *shape[:-1], 4)
        absent = {"h": None, "c": None} if name == "lstm_cell" else {"h": None}
        check_leaf(name, module, {"input": x, **absent}, x)
        given = {"h": h, "c": c} if name == "lstm_cell" else {"h": h}
        module = CELLS[name](6, 4, bias=bias)
        hx = (h, c) if name == "lstm_cell" else h
        check_leaf(name, module, {"input": x, **given}, x, hx)


def test_rnn_cell_relu() -> None:
    module, x = nn.RNNCell(6, 4, nonlinearity="relu"), torch.randn(3, 6)
    check_leaf("rnn_cell", module, {"input": x, "nonlinearity": "relu"}, x)


def test_missing_state_has_the_size_of_this_batch() -> None:
    text, scope = leaf_text("gru_cell", nn.GRUCell(6, 4), {"input": torch.randn(3, 6)})
    scope["v0"] = np.ones((7, 6), np.float32)
    assert evaluate(text, scope).shape == (7, 4)


# ---- torch's functions


@pytest.mark.parametrize("bias", [True, False])
def test_functional_cells(bias: bool) -> None:
    x, h, c = torch.randn(3, 6), torch.randn(3, 4), torch.randn(3, 4)
    calls: list[tuple[Any, Any, Any]] = [
        (torch.lstm_cell, nn.LSTMCell, (h, c)),
        (torch.gru_cell, nn.GRUCell, h),
        (torch.rnn_tanh_cell, nn.RNNCell, h),
        (torch.rnn_relu_cell, nn.RNNCell, h),
    ]
    for function, cell, hx in calls:
        check(function, x, hx, *cell(6, 4, bias=bias).parameters())


@pytest.mark.parametrize(
    "options",
    [{}, {"num_layers": 2}, {"bidirectional": True, "bias": False}, {"proj_size": 2}],
)
def test_functional_layers(options: dict[str, Any]) -> None:
    functions = {"lstm": [torch.lstm], "gru": [torch.gru]}
    functions["rnn"] = [torch.rnn_tanh, torch.rnn_relu]
    for name, module in KINDS.items():
        if name != "lstm" and "proj_size" in options:
            continue
        weights = list(module(6, 4, **options).parameters())
        num_layers = options.get("num_layers", 1)
        both, bias = options.get("bidirectional", False), options.get("bias", True)
        hx, x = states(name, options, (3,)), torch.randn(3, 5, 6)
        for function in functions[name]:
            # dropout acts in training only
            args = (weights, bias, num_layers, 0.5, False, both, True)
            check(function, x, hx, *args)


def test_functional_refusals() -> None:
    weights = list(nn.LSTM(6, 4, 2).parameters())
    x, hx = torch.randn(5, 3, 6), states("lstm", {"num_layers": 2}, (3,))
    with pytest.raises(Refused, match="random state"):
        check(torch.lstm, x, hx, weights, True, 2, 0.5, True, False, False)
    sizes = torch.tensor([3, 2])
    with pytest.raises(Refused, match="PackedSequence"):
        check(torch.lstm, x[0, :, :].repeat(2, 1)[:5], sizes, hx, weights, True, 2,
              0.0, False, False)  # fmt: skip


# ---- dropout between layers

DROPPING = {
    "lstm": stacked_lstm_dropout,
    "gru": stacked_gru_dropout,
    "rnn": stacked_rnn_dropout,
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_dropout_between_layers(name: str, bidirectional: bool) -> None:
    options = {"num_layers": 3, "bidirectional": bidirectional, "batch_first": True}
    module = KINDS[name](6, 4, **options, dropout=0.5)
    x, hx = torch.randn(3, 5, 6), states(name, options, (3,))
    args = {"input": x, "hx": hx, **options, "dropout": 0.5}
    with pytest.raises(Refused, match="random state"):
        leaf_text(name, module, args)
    text, scope = leaf_text(name, module, args, stateful=True)
    assert text.startswith(f"stacked_{name}_dropout(v0, (")

    def run(state: DropoutState) -> tuple[Any, DropoutState]:
        return evaluate(text, {**scope, "state": state})

    still, after = run(DropoutState(1, 5, training=False))
    with torch.no_grad():
        low = module.eval()(x, hx)
        double = map_arg(lambda t: t.double(), (x, hx))
        compare(still, low, module.double()(*double), text)
    assert after == DropoutState(1, 5, training=False)

    (y, _), after = run(DropoutState(1, 5))
    assert after == DropoutState(1, 7)  # two gaps between three layers
    (again, _), _ = run(DropoutState(1, 5))
    np.testing.assert_array_equal(y, again)
    assert not np.allclose(y, still[0])
    assert y.dtype == np.float32


@pytest.mark.parametrize("name", KINDS)
def test_dropout_acts_on_each_layers_output_but_the_last(name: str) -> None:
    """With p = 1 the second layer sees zeros: as torch does in training."""
    module = KINDS[name](6, 4, num_layers=2, dropout=1.0).train()
    x = torch.randn(5, 3, 6)
    ps = tuple(p.detach().numpy() for p in module.parameters())
    with torch.no_grad():
        low = module(x)
        (ours, _) = DROPPING[name](x.numpy(), ps, DropoutState(0), num_layers=2, p=1.0)
        compare(ours, low, module.double()(x.double()))


def test_one_layer_never_drops() -> None:
    module, x = nn.GRU(6, 4), torch.randn(5, 3, 6)
    text, scope = leaf_text("gru", module, {"input": x, "dropout": 0.5}, stateful=True)
    value, state = evaluate(text, {**scope, "state": DropoutState(3)})
    assert state == DropoutState(3)
    np.testing.assert_allclose(value[0], module(x)[0].detach(), rtol=1e-5, atol=1e-6)
