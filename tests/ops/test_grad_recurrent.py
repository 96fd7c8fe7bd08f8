"""Gradients of recurrent layers and cells against torch.autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from luxgen.ops.dropout import DropoutState, dropout
from tests.ops.gradcheck import Weights, check_layer, check_stateful, check_vjp
from tests.ops.test_recurrent import CASES, CELLS, KINDS, states


def wanted(item: Any) -> Any:
    """Tensors that ask for gradients."""
    if isinstance(item, tuple):
        return tuple(wanted(t) for t in item)
    return item.detach().requires_grad_()


def running(module: nn.Module) -> Any:
    """The layer as a function of its op's arguments."""

    def run(input: Any, weights: Any, hx: Any = None, **_: Any) -> Any:
        module._flat_weights = list(weights)
        return module(input, hx)

    return run


def check(name: str, module: nn.Module, x: Any, hx: Any = None, **options: Any) -> str:
    args = {"input": x, "weights": Weights(module.parameters()), **options}
    if hx is not None:
        args["hx"] = hx
    return check_layer(name, args, running(module))


@pytest.mark.parametrize(("name", "options"), CASES)
def test_layers(name: str, options: dict[str, Any]) -> None:
    """Batched and not, with the initial state given and not."""
    for shape in ((5, 3, 6), (5, 6)):
        for given in (False, True):
            module = KINDS[name](6, 4, **options)
            x, batch = torch.randn(*shape), shape[1:-1]
            if options.get("batch_first"):
                x = torch.randn(*shape[-2::-1], 6)
            hx = wanted(states(name, options, batch)) if given else None
            check(name, module, wanted(x), hx, **options)


@pytest.mark.parametrize("name", KINDS)
def test_sizes_and_dtypes(name: str) -> None:
    for shape in ((1, 1, 1), (2, 0, 3), (40, 2, 16)):
        module = KINDS[name](shape[-1], 8)
        check(name, module, wanted(torch.randn(*shape)))
    module = KINDS[name](6, 4).double()
    check(name, module, wanted(torch.randn(3, 2, 6).double()))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
def test_only_some_results_are_used(name: str, options: dict[str, Any]) -> None:
    module = KINDS[name](6, 4, **options)
    hx = wanted(states(name, options, (3,)))
    args = {"input": wanted(torch.randn(5, 3, 6)), "hx": hx, **options}
    args["weights"] = Weights(module.parameters())
    run = running(module)

    def frozen(item: Any) -> Any:
        return tuple(map(frozen, item)) if isinstance(item, tuple) else item.detach()

    def output(**given: Any) -> Any:
        y, last = run(**given)
        return y, frozen(last)

    def last_state(**given: Any) -> Any:
        y, last = run(**given)
        return y.detach(), last

    text = check_layer(name, args, output)
    assert "d_h=" not in text and "zeros_like" not in text
    check_layer(name, args, last_state)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_saturated_gates_stay_finite(name: str) -> None:
    module, x = KINDS[name](6, 4), 1e4 * torch.randn(5, 3, 6)
    with np.errstate(all="raise", under="ignore"):
        check(name, module, wanted(x))


def test_texts() -> None:
    x = wanted(torch.randn(5, 3, 6))
    text = check("gru", nn.GRU(6, 4), x)
    assert text.startswith("gru_saved(v0, v1)\n")
    assert "gru_backward(v0, v1, v2, v3)" in text  # d, saved, ps, d_h
    text = check("lstm", nn.LSTM(6, 4, 2, bidirectional=True), x, num_layers=2,
                 bidirectional=True)  # fmt: skip
    assert "stacked_lstm_backward(" in text


# ---- cells


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", CELLS)
def test_cells(name: str, bias: bool) -> None:
    for shape in ((3, 6), (6,), (0, 6)):
        for nonlinearity in ("tanh", "relu") if name == "rnn_cell" else ("tanh",):
            kind: dict[str, Any] = {"nonlinearity": nonlinearity}
            kind = {} if nonlinearity == "tanh" else kind
            module = CELLS[name](6, 4, bias=bias, **kind)
            x, h, c = torch.randn(*shape), *torch.randn(2, *shape[:-1], 4)
            check_cell(name, module, wanted(x), None, kind)
            hx = (h, c) if name == "lstm_cell" else h
            check_cell(name, module, wanted(x), wanted(hx), kind)


def check_cell(name: str, module: nn.Module, x: Any, hx: Any, kind: Any) -> None:
    names = [n for n, _ in module.named_parameters()]
    both = name == "lstm_cell"

    def reference(input: Any, weights: Any, h: Any, c: Any = None, **_: Any) -> Any:
        held = dict(zip(names, weights, strict=True))
        given = None if h is None else (h, c) if both else h
        return torch.func.functional_call(module, held, (input, given))

    states = (
        dict(zip(("h", "c"), hx or (None, None), strict=True)) if both else {"h": hx}
    )
    args = {"input": x, **states, "weights": Weights(module.parameters()), **kind}
    check_layer(name, args, reference)


# ---- torch's functions


@pytest.mark.parametrize("bias", [True, False])
def test_functional_cells(bias: bool) -> None:
    x, h, c = (wanted(torch.randn(3, n)) for n in (6, 4, 4))
    calls: list[tuple[Any, Any, Any]] = [
        (torch.lstm_cell, nn.LSTMCell, (h, c)),
        (torch.gru_cell, nn.GRUCell, h),
        (torch.rnn_tanh_cell, nn.RNNCell, h),
        (torch.rnn_relu_cell, nn.RNNCell, h),
    ]
    for function, cell, hx in calls:
        check_vjp(function, x, hx, *cell(6, 4, bias=bias).parameters())


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
        hx = wanted(states(name, options, (3,)))
        for function in functions[name]:
            args = (weights, bias, num_layers, 0.5, False, both, True)
            check_vjp(function, wanted(torch.randn(3, 5, 6)), hx, *args)


# ---- dropout between layers


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_dropout(name: str, bidirectional: bool, training: bool) -> None:
    """With the very masks that the state draws; p = 0.5 scales without rounding."""
    torch.manual_seed(1)
    options = {"num_layers": 3, "bidirectional": bidirectional, "batch_first": True}
    module = KINDS[name](6, 4, **options)
    size = len(list(module.parameters())) // 3
    state = DropoutState(1, 5, training)
    ones = np.ones((5, 3, 8 if bidirectional else 4), np.float32)
    masks = []
    for _ in range(2):
        mask, state = dropout(ones, state, p=0.5)
        masks.append(torch.from_numpy(np.array(mask)))

    def reference(input: Any, weights: Any, **_: Any) -> Any:
        """One layer after the other, their masks between them."""
        x, last = input.transpose(0, 1), []
        for k in range(3):
            layer = KINDS[name](x.shape[-1], 4, bidirectional=bidirectional)
            run = running(layer.to(x.dtype))
            x, state = run(x, weights[k * size : (k + 1) * size])
            last.append(state)
            x = x * masks[k].to(x.dtype) if k < 2 else x
        stacked = (
            [torch.cat(t) for t in zip(*last, strict=True)] if name == "lstm" else 0
        )
        return x.transpose(0, 1), tuple(stacked) if name == "lstm" else torch.cat(last)

    args = {"input": wanted(torch.randn(3, 5, 6)), **options, "dropout": 0.5}
    args["weights"] = Weights(module.parameters())
    check_stateful(name, args, DropoutState(1, 5, training), reference)


@pytest.mark.parametrize("name", KINDS)
def test_one_layer_never_drops(name: str) -> None:
    module = KINDS[name](6, 4)
    args = {"input": wanted(torch.randn(5, 3, 6)), "dropout": 0.5}
    args["weights"] = Weights(module.parameters())
    check_stateful(name, args, DropoutState(3), running(module))
