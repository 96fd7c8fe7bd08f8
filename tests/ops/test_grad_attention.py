"""Gradients of attention against torch.autograd."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from luxgen.ops.dropout import DropoutState, dropout
from tests.ops.gradcheck import check_layer, check_stateful, check_vjp, t
from tests.ops.test_attention import ASKED, LAYERS, inputs, leaf_args

sdpa = F.scaled_dot_product_attention
INF = float("inf")


def qkv(*batch: int, steps: int = 5, keys: int = 7) -> list[torch.Tensor]:
    sizes = ((steps, 8), (keys, 8), (keys, 6))
    return [t(*batch, *size) for size in sizes]


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (2, 1, 3), (0, 3)])
def test_dot_product(batch: tuple[int, ...]) -> None:
    check_vjp(sdpa, *qkv(*batch))
    check_vjp(sdpa, *qkv(*batch), scale=0.3)
    check_vjp(sdpa, *qkv(*batch), is_causal=True)


@pytest.mark.parametrize("shape", [(5, 7), (1, 7), (5, 1), (3, 5, 7), (2, 1, 1, 7)])
def test_masks(shape: tuple[int, ...]) -> None:
    check_vjp(sdpa, *qkv(2, 3), torch.rand(shape) > 0.3)
    check_vjp(sdpa, *qkv(2, 3), torch.randn(shape))
    check_vjp(sdpa, *qkv(2, 3), t(*shape))


def test_large_scores() -> None:
    q, k, v = (100 * t.detach() for t in qkv(2, 3))
    with np.errstate(all="raise", under="ignore"):
        check_vjp(sdpa, q.requires_grad_(), k.requires_grad_(), v.requires_grad_())


def test_rows_masked_out_have_no_gradient() -> None:
    mask = torch.ones(5, 7, dtype=torch.bool)
    mask[2] = False
    with np.errstate(all="raise", under="ignore"):
        check_vjp(sdpa, *qkv(), mask)


@pytest.mark.parametrize(("heads", "values"), [(1, 1), (2, 2), (3, 2), (6, 6)])
def test_grouped_queries(heads: int, values: int) -> None:
    q, k, v = t(2, 6, 5, 8), t(2, heads, 7, 8), t(2, values, 7, 6)
    check_vjp(sdpa, q, k, v, enable_gqa=True)
    check_vjp(sdpa, q, k, v, t(5, 7), enable_gqa=True)


def test_one_head_or_sample_for_all() -> None:
    q = t(2, 3, 5, 8)
    check_vjp(sdpa, q, t(1, 3, 7, 8), t(1, 3, 7, 6))
    check_vjp(sdpa, q, t(2, 1, 7, 8), t(2, 1, 7, 6))
    check_vjp(sdpa, q, t(1, 1, 7, 8), t(2, 3, 7, 6))


def test_self_attention() -> None:
    x = t(2, 5, 8)
    check_vjp(sdpa, x, x, x)


def test_what_forward_computed_is_read() -> None:
    text = check_vjp(sdpa, *qkv(2))
    assert "scaled_dot_product_attention_saved(v0, v1, v2)" in text
    assert "scaled_dot_product_attention_backward(v0, v1, v2, v3, v4)" in text


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_dot_product_dropout(training: bool, masked: bool) -> None:
    """With the very mask that the state draws."""
    state = DropoutState(3, 1, training)
    ones = np.ones((2, 3, 5, 7), np.float32)
    kept = torch.from_numpy(np.array(dropout(ones, state, p=0.4)[0]))

    def reference(
        query: Any, key: Any, value: Any, attn_mask: Any = None, **_: Any
    ) -> Any:
        scores = query @ key.mT / math.sqrt(8)
        if attn_mask is not None:
            scores = scores + attn_mask
        return (scores.softmax(-1) * kept.to(query.dtype)) @ value

    args: dict[str, Any] = dict(zip(("query", "key", "value"), qkv(2, 3), strict=True))
    if masked:
        args["attn_mask"] = t(5, 7)
    args["dropout_p"] = 0.4
    check_stateful("scaled_dot_product_attention", args, state, reference)


# ---- multi-head attention


def arguments(
    module: nn.MultiheadAttention, *qkv: Any, **options: Any
) -> dict[str, Any]:
    given = dict(zip(("query", "key", "value"), qkv, strict=True))
    return leaf_args(module, *qkv, **options) | given


def running(module: nn.MultiheadAttention, **asked: Any) -> Any:
    """The layer as a function of its op's arguments, on its path without fusion."""

    def run(query: Any, key: Any, value: Any, num_heads: int, **args: Any) -> Any:
        first = args.pop("batch_first", False) and query.dim() == 3
        batched = query.dim() == 3
        if first:
            query, key, value = (t.transpose(0, 1) for t in (query, key, value))
        separate = "q_proj_weight" in args
        given = {
            name: args.pop(name, None)
            for name in ("in_proj_weight", "in_proj_bias", "bias_k", "bias_v")
        }
        tail = {n: args.pop(n, None) for n in ("out_proj_weight", "out_proj_bias")}
        zero = args.pop("add_zero_attn", False)
        y, weights = F.multi_head_attention_forward(
            query, key, value, query.shape[-1], num_heads, *given.values(), zero, 0.0,
            *tail.values(), use_separate_proj_weight=separate, **args,
        )  # fmt: skip
        return (y.transpose(0, 1) if first and batched else y), weights

    return run


def check_mha(module: nn.MultiheadAttention, *qkv: Any, **options: Any) -> str:
    args = arguments(module, *qkv, **options)
    return check_layer("multi_head_attention", args, running(module))


def wanted(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    return [t.requires_grad_() for t in tensors]


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("options", LAYERS)
def test_layer(options: dict[str, Any], asked: dict[str, Any], batched: bool) -> None:
    """Cross-attention, without masks and with each kind of them."""
    padding = torch.zeros(3, 7, dtype=torch.bool)
    padding[0, 4:] = padding[2, :2] = True
    padding = padding if batched else padding[0]
    hidden = torch.rand(5, 7) > 0.7
    hidden[:, 3] = False
    each = t(6 if batched else 2, 5, 7)
    masks: list[dict[str, Any]] = [
        {},
        {"key_padding_mask": padding},
        {"attn_mask": hidden, "key_padding_mask": padding},
        {"attn_mask": t(5, 7)},
        {"attn_mask": each, "key_padding_mask": t(*padding.shape)},
    ]
    for mask in masks:
        module = nn.MultiheadAttention(8, 2, **options)
        check_mha(module, *wanted(inputs(options, batched)), **mask, **asked)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_self_attention_layer(batch_first: bool, bias: bool) -> None:
    module = nn.MultiheadAttention(8, 4, bias=bias, batch_first=batch_first)
    for shape in ((5, 3, 8), (5, 8)):
        x = t(*shape)
        text = check_mha(module, x, x, x)
        assert "in_proj" not in text and text.count("multi_head_backward") == 1


def test_key_that_is_value() -> None:
    memory = t(7, 3, 8)
    check_mha(nn.MultiheadAttention(8, 2), t(5, 3, 8), memory, memory)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
def test_functional(separate: bool, need_weights: bool) -> None:
    q, k, v = (t(n, 3, 8) for n in (5, 7, 7))
    options: dict[str, Any] = {"training": False, "need_weights": need_weights}
    if separate:
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        options |= {name: t(8, 8) for name in names}
        options["use_separate_proj_weight"] = True
    packed = None if separate else t(24, 8)
    check_vjp(
        F.multi_head_attention_forward, q, k, v, 8, 2, packed, t(24), None, None,
        False, 0.3, t(8, 8), t(8), **options,
    )  # fmt: skip


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("average", [True, False])
def test_layer_with_dropout(training: bool, average: bool) -> None:
    """With the very mask that the state draws."""
    module = nn.MultiheadAttention(8, 2, dropout=0.4)
    nn.init.normal_(module.in_proj_bias)
    state = DropoutState(3, 1, training)
    ones = np.ones((3, 2, 5, 5), np.float32)
    kept = torch.from_numpy(np.array(dropout(ones, state, p=0.4)[0]))

    def reference(
        query: Any, in_proj_weight: Any, in_proj_bias: Any, **args: Any
    ) -> Any:
        projected = F.linear(query, in_proj_weight, in_proj_bias)
        heads = projected.reshape(5, 3, 3, 2, 4).permute(2, 1, 3, 0, 4)
        q, k, v = heads.unbind(0)
        weights = (q @ k.mT / 2).softmax(-1) * kept.to(query.dtype)
        y = (weights @ v).permute(2, 0, 1, 3).reshape(5, 3, 8)
        y = F.linear(y, args["out_proj_weight"], args["out_proj_bias"])
        return y, weights.mean(1) if average else weights

    x = t(5, 3, 8)
    asked = {} if average else {"average_attn_weights": False}
    args = arguments(module, x, x, x, **asked)
    check_stateful("multi_head_attention", args, state, reference)
