"""torch.nn layers that are one op of their own: those with state, cells, attention.

All other torch.nn layers are traced through: `nn.Conv2d` becomes `conv2d` on its
parameters. Keyed by the forward function, so that subclasses which inherit it count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules import batchnorm, dropout, instancenorm
from torch.nn.utils.rnn import PackedSequence

Bound = tuple[str, dict[str, Any], str]  # op, arguments, class of its state or ""


class Unleafable(Exception):
    """A use of a leaf layer that can't be translated: reason, suggestion."""


def _option(args: dict[str, Any], name: str, value: Any, default: Any) -> None:
    if value != default:
        args[name] = value


class Weights:
    """Stands for all parameters of the leaf in state_dict order (`ps.bn1`)."""


class Stats:
    """Stands for the leaf's state (`st.bn1`)."""


def _norm_layer(name: str) -> Callable[..., Bound | None]:
    def bound(m: Any, input: torch.Tensor) -> Bound | None:
        if not m.track_running_stats or m.running_mean is None:
            return None
        m._check_input_dim(input)
        if name == "batch_norm_layer" and input.shape[1] != m.num_features:
            # torch lets this pass where the input is empty
            reason = f"{input.shape[1]} channels into BatchNorm of {m.num_features}"
            raise Unleafable(reason, "give inputs with num_features channels")
        args: dict[str, Any] = {"input": input, "ps": Weights if m.affine else None}
        if name == "instance_norm_layer":
            _option(args, "unbatched", input.dim() == m._get_no_batch_dim(), False)
        _option(args, "momentum", m.momentum, 0.1)
        _option(args, "eps", m.eps, 1e-5)
        return name, args, "BatchNormState"

    return bound


def _dropout(name: str) -> Callable[..., Bound | None]:
    def bound(m: Any, input: torch.Tensor) -> Bound | None:
        if m.p == 0.0:
            return None
        return name, {"input": input, "p": m.p}, "DropoutState"

    return bound


def _rrelu(m: nn.RReLU, input: torch.Tensor) -> Bound:
    return "rrelu", {"input": input, "lower": m.lower, "upper": m.upper}, "DropoutState"


def _recurrent(name: str) -> Callable[..., Bound | None]:
    def bound(m: Any, input: Any, hx: Any = None) -> Bound | None:
        if isinstance(input, PackedSequence):
            raise Unleafable("PackedSequence input", "pad the batch instead")
        args: dict[str, Any] = {"input": input, "weights": Weights}
        if hx is not None:
            args["hx"] = hx
        if name == "rnn":
            _option(args, "nonlinearity", m.nonlinearity, "tanh")
        for option in ("num_layers", "bias", "batch_first", "bidirectional"):
            default = {"num_layers": 1, "bias": True}.get(option, False)
            _option(args, option, getattr(m, option), default)
        _option(args, "proj_size", m.proj_size, 0)
        if m.dropout and m.num_layers > 1:
            args["dropout"] = m.dropout
            return name, args, "DropoutState"
        return name, args, ""

    return bound


def _cell(name: str) -> Callable[..., Bound | None]:
    def bound(m: Any, input: torch.Tensor, hx: Any = None) -> Bound | None:
        args: dict[str, Any] = {"input": input}
        if name == "lstm_cell":
            args["h"], args["c"] = (None, None) if hx is None else hx
        else:
            args["h"] = hx
        args["weights"] = Weights
        if name == "rnn_cell":
            _option(args, "nonlinearity", m.nonlinearity, "tanh")
        return name, args, ""

    return bound


def _attention(
    m: nn.MultiheadAttention,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    key_padding_mask: torch.Tensor | None = None,
    need_weights: bool = True,
    attn_mask: torch.Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Bound:
    args: dict[str, Any] = {"query": query, "key": key, "value": value}
    names = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight",
             "in_proj_bias", "bias_k", "bias_v")  # fmt: skip
    for name in names:
        if getattr(m, name) is not None:
            args[name] = getattr(m, name)
    args["out_proj_weight"] = m.out_proj.weight
    if m.out_proj.bias is not None:
        args["out_proj_bias"] = m.out_proj.bias
    args["num_heads"] = m.num_heads
    _option(args, "batch_first", m.batch_first, False)
    _option(args, "add_zero_attn", m.add_zero_attn, False)
    for name, tensor in (
        ("key_padding_mask", key_padding_mask),
        ("attn_mask", attn_mask),
    ):
        if tensor is not None:
            args[name] = tensor
    _option(args, "need_weights", need_weights, True)
    _option(args, "average_attn_weights", average_attn_weights, True)
    if m.dropout:
        args["dropout"] = m.dropout
        return "multi_head_attention", args, "DropoutState"
    return "multi_head_attention", args, ""


LEAVES: dict[Any, Callable[..., Bound | None]] = {
    batchnorm._BatchNorm.forward: _norm_layer("batch_norm_layer"),
    instancenorm._InstanceNorm.forward: _norm_layer("instance_norm_layer"),
    dropout.Dropout.forward: _dropout("dropout"),
    dropout.Dropout1d.forward: _dropout("dropout1d"),
    dropout.Dropout2d.forward: _dropout("dropout2d"),
    dropout.Dropout3d.forward: _dropout("dropout3d"),
    dropout.AlphaDropout.forward: _dropout("alpha_dropout"),
    dropout.FeatureAlphaDropout.forward: _dropout("feature_alpha_dropout"),
    nn.RReLU.forward: _rrelu,
    nn.LSTM.forward: _recurrent("lstm"),
    nn.GRU.forward: _recurrent("gru"),
    nn.RNN.forward: _recurrent("rnn"),
    nn.LSTMCell.forward: _cell("lstm_cell"),
    nn.GRUCell.forward: _cell("gru_cell"),
    nn.RNNCell.forward: _cell("rnn_cell"),
    nn.MultiheadAttention.forward: _attention,
}  # fmt: skip

# torch.nn classes with a forward worth a function of its own.
COMPOSITE = (
    nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder,
    nn.TransformerEncoderLayer, nn.TransformerDecoderLayer,
)  # fmt: skip


def weights_of(module: nn.Module) -> list[torch.Tensor]:
    """The parameters of a leaf in state_dict order, as its forward sees them.

    A hook or a parametrization may have put computed tensors in their place.
    """
    if isinstance(module, nn.RNNBase):
        return [getattr(module, n) for n in module._flat_weights_names]
    order = ("weight_ih", "weight_hh", "weight", "bias", "bias_ih", "bias_hh")
    found = [getattr(module, n, None) for n in order]
    return [t for t in found if isinstance(t, torch.Tensor)]


def frozen(bound: Bound, training: bool) -> Bound | None:
    """A layer that keeps one mode whatever its model's: None to trace through it."""
    name, args, _ = bound
    if "dropout" not in args:
        return None
    if training:
        raise Unleafable(
            f"{name} with dropout in testing too", "use nn.Dropout after it"
        )
    return name, {k: v for k, v in args.items() if k != "dropout"}, ""


def leaf_of(module: nn.Module) -> Callable[..., Bound | None] | None:
    """The row for this module's forward, unless the instance overrides it."""
    if "forward" in module.__dict__:
        return None
    return LEAVES.get(type(module).forward)


def is_transparent(module: nn.Module) -> bool:
    """Traced through: its forward is torch's own (Linear, Sequential, ReLU ...)."""
    if isinstance(module, COMPOSITE) and type(module).__module__.startswith("torch.nn"):
        return False
    forward = type(module).forward
    home = getattr(forward, "__module__", "") or ""
    return home.startswith("torch.nn") and "forward" not in module.__dict__
