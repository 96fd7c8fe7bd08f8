"""Scaled dot-product and multi-head attention against torch: masks, heads, dropout."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from luxgen.frontends.bind import bind, dtype_name
from luxgen.ir.values import Value, map_arg
from luxgen.ops.dropout import DropoutState
from luxgen.targets.numpy.expression import substitute
from luxgen.targets.numpy.rules import template
from luxgen.targets.numpy.rules.op import Op, Refused
from tests.ops.opcheck import check, compare, evaluate

sdpa = F.scaled_dot_product_attention
INF = float("inf")


def qkv(*batch: int, steps: int = 5, keys: int = 7) -> tuple[torch.Tensor, ...]:
    """Query (..., 5, 8), key (..., 7, 8) and value (..., 7, 6)."""
    return (
        torch.randn(*batch, steps, 8),
        torch.randn(*batch, keys, 8),
        torch.randn(*batch, keys, 6),
    )


# ---- scaled dot products


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (2, 1, 3)])
def test_dot_product(batch: tuple[int, ...]) -> None:
    text = check(sdpa, *qkv(*batch))
    assert text == "scaled_dot_product_attention(v0, v1, v2)"
    check(sdpa, *qkv(*batch), scale=0.3)
    check(sdpa, *(t.double() for t in qkv(*batch)))


@pytest.mark.parametrize(("steps", "keys"), [(5, 5), (5, 7), (7, 5), (1, 4), (4, 1)])
def test_causal_is_aligned_at_the_first_step(steps: int, keys: int) -> None:
    text = check(sdpa, *qkv(2, 3, steps=steps, keys=keys), is_causal=True)
    assert text == "scaled_dot_product_attention(v0, v1, v2, is_causal=True)"


@pytest.mark.parametrize(
    "shape", [(5, 7), (1, 7), (5, 1), (3, 5, 7), (2, 1, 1, 7), (2, 3, 5, 7)]
)
def test_masks_broadcast(shape: tuple[int, ...]) -> None:
    """A boolean mask attends where True; a float mask is added."""
    check(sdpa, *qkv(2, 3), torch.rand(shape) > 0.3)
    check(sdpa, *qkv(2, 3), torch.randn(shape))


def test_mask_and_causal_together() -> None:
    """The fused kernel applies both; the other one refuses."""
    q, k, _ = qkv(2, 3)
    check(sdpa, q, k, k, torch.rand(5, 7) > 0.3, is_causal=True)
    check(sdpa, q, k, k, torch.randn(5, 7), is_causal=True)


def test_row_masked_out_is_zero() -> None:
    mask = torch.ones(5, 7, dtype=torch.bool)
    mask[2] = False
    added = torch.zeros(5, 7).masked_fill(~mask, -INF)
    lowest = torch.zeros(5, 7).masked_fill(~mask, torch.finfo().min)
    for mine in (mask, added, lowest):
        for batch in ((), (2, 3)):
            with np.errstate(all="raise", under="ignore"):
                check(sdpa, *qkv(*batch), mine)


def test_large_scores_do_not_overflow() -> None:
    q, k, v = qkv(2, 3)
    with np.errstate(all="raise", under="ignore"):
        check(sdpa, 100 * q, 100 * k, v)


@pytest.mark.parametrize(("heads", "values"), [(1, 1), (2, 2), (3, 3), (3, 2), (6, 6)])
def test_grouped_queries(heads: int, values: int) -> None:
    q, k = torch.randn(2, 6, 5, 8), torch.randn(2, heads, 7, 8)
    v = torch.randn(2, values, 7, 6)
    check(sdpa, q, k, v, enable_gqa=True)
    check(sdpa, q, k, v, enable_gqa=True, is_causal=True)


def test_one_head_or_sample_for_all() -> None:
    q, k, v = qkv(2, 3)
    check(sdpa, q, k[:1], v[:1])
    check(sdpa, q, k[:, :1], v[:, :1])


def test_nothing_to_attend_to() -> None:
    q, k, v = qkv(2, 3)
    check(sdpa, q, k[..., :0, :], v[..., :0, :])
    check(sdpa, q[..., :0, :], k, v)
    check(sdpa, q[:0], k[:0], v[:0])


def test_views_of_heads() -> None:
    x = torch.randn(2, 5, 3, 3, 8).permute(3, 0, 2, 1, 4)
    check(sdpa, *x.unbind(0), is_causal=True)


def bound_text(
    name: str, args: dict[str, Any], stateful: bool = False
) -> tuple[str, dict[str, np.ndarray]]:
    """Text of an op; one tensor given twice is one array."""
    scope: dict[str, np.ndarray] = {}
    seen: dict[int, Value] = {}

    def value(item: Any) -> Any:
        if not isinstance(item, torch.Tensor):
            return item
        if id(item) not in seen:
            key = f"v{len(seen)}"
            scope[key] = item.detach().numpy().copy()
            seen[id(item)] = Value(
                dtype_name(item.dtype), tuple(item.shape), (), (key,)
            )
        return seen[id(item)]

    bound = {key: map_arg(value, arg) for key, arg in args.items()}
    text = template(Op(name, bound), stateful=stateful)
    tree = substitute(text, bound, lambda v: ast.Name(v.names[0]))
    return ast.unparse(tree), scope


def test_dot_product_dropout() -> None:
    q, k, v = qkv(2, 3)
    mask = torch.rand(5, 7) > 0.3
    call = bind(sdpa, (q, k, v, mask), {"dropout_p": 0.5})
    with pytest.raises(Refused, match="random state"):
        bound_text(call.name, call.args)
    text, scope = bound_text(call.name, call.args, stateful=True)
    run = lambda st: evaluate(text, {**scope, "state": st})  # noqa: E731
    y, state = run(DropoutState(1, training=False))
    assert state == DropoutState(1, training=False)
    compare(y, sdpa(q, k, v, mask), sdpa(*(t.double() for t in (q, k, v)), mask))
    drawn, state = run(DropoutState(1))
    assert state == DropoutState(1, 1)
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn, run(DropoutState(1))[0])
    assert not np.allclose(drawn, y)
    mean = np.mean([run(DropoutState(1, k))[0] for k in range(400)], axis=0)
    np.testing.assert_allclose(mean, y, atol=0.3)  # the weights keep their mean
    text, _ = bound_text(call.name, {"query": q, "key": k, "value": v}, stateful=True)
    assert text == "(scaled_dot_product_attention(v0, v1, v2), state)"


# ---- multi-head attention


def check_mha(module: nn.MultiheadAttention, *qkv: torch.Tensor, **options: Any) -> str:
    """Our op, bound as the front end binds the layer, against the layer."""
    text, scope = bound_text("multi_head_attention", leaf_args(module, *qkv, **options))
    before = {key: array.copy() for key, array in scope.items()}
    with np.errstate(all="raise", under="ignore"):
        ours = evaluate(text, scope)
    for key, array in scope.items():
        np.testing.assert_array_equal(array, before[key], f"{text} changed {key}")
    double = lambda t: t.double() if is_float(t) else t  # noqa: E731
    twins = {id(t): double(t) for t in qkv}
    with torch.no_grad():  # in training mode, which never takes the fast path
        low = module.train()(*qkv, **options)
        high = module.double()(
            *(twins[id(t)] for t in qkv), **{k: double(v) for k, v in options.items()}
        )
    assert (ours[1] is None) == (low[1] is None)
    compare(ours[0], low[0], high[0], text)
    if low[1] is not None:
        compare(ours[1], low[1], high[1], text)
    return text


def is_float(item: Any) -> bool:
    return isinstance(item, torch.Tensor) and item.is_floating_point()


def leaf_args(
    module: nn.MultiheadAttention,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    **options: Any,
) -> dict[str, Any]:
    names = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight",
             "in_proj_bias", "bias_k", "bias_v")  # fmt: skip
    weights = {name: getattr(module, name) for name in names}
    settings = {
        "out_proj_weight": module.out_proj.weight,
        "out_proj_bias": module.out_proj.bias,
        "batch_first": module.batch_first or None,
        "add_zero_attn": module.add_zero_attn or None,
        "dropout": module.dropout or None,
    }
    given = {**weights, **settings, **options}
    args = {"query": query, "key": key, "value": value, "num_heads": module.num_heads}
    return {**args, **{k: v for k, v in given.items() if v is not None}}


LAYERS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"batch_first": True},
    {"add_bias_kv": True},
    {"add_zero_attn": True},
    {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True},
    {"kdim": 6, "vdim": 10},
    {"kdim": 6, "vdim": 10, "bias": False, "batch_first": True, "add_bias_kv": True},
]
ASKED: list[dict[str, Any]] = [
    {},
    {"need_weights": False},
    {"average_attn_weights": False},
]


def inputs(options: dict[str, Any], batched: bool) -> list[torch.Tensor]:
    """Query of 5 steps, key and value of 7, in a batch of 3 or none."""
    sizes = 8, options.get("kdim", 8), options.get("vdim", 8)
    shapes: list[tuple[int, ...]] = [(5,), (7,), (7,)]
    if batched:
        shapes = [(3, n) if options.get("batch_first") else (n, 3) for (n,) in shapes]
    return [torch.randn(*shape, n) for shape, n in zip(shapes, sizes, strict=True)]


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("options", LAYERS)
def test_layer(options: dict[str, Any], asked: dict[str, Any], batched: bool) -> None:
    """Cross-attention, without masks and with each kind of them."""
    padding = torch.zeros(3, 7, dtype=torch.bool)
    padding[0, 4:] = padding[2, :2] = True
    hidden = torch.rand(5, 7) > 0.7
    hidden[:, 3] = False
    each = torch.rand(6 if batched else 2, 5, 7) > 0.7
    each[..., 3] = False
    padding = padding if batched else padding[0]
    masks: list[dict[str, Any]] = [
        {},
        {"key_padding_mask": padding},
        {"attn_mask": hidden},
        {"attn_mask": each},
        {"attn_mask": hidden, "key_padding_mask": padding},
        {"attn_mask": torch.randn(5, 7)},
        {
            "attn_mask": torch.randn(each.shape),
            "key_padding_mask": torch.zeros(padding.shape).masked_fill(padding, -INF),
        },
    ]
    for mask in masks:
        module = nn.MultiheadAttention(8, 2, **options)
        nn.init.normal_(module.out_proj.bias) if module.out_proj.bias is not None else 0
        check_mha(module, *inputs(options, batched), **mask, **asked)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_self_attention(batch_first: bool, bias: bool) -> None:
    module = nn.MultiheadAttention(8, 4, bias=bias, batch_first=batch_first)
    if bias:
        nn.init.normal_(module.in_proj_bias)
    for shape in ((5, 3, 8), (5, 8), (0, 3, 8)[:: 1 if batch_first else 1]):
        if 0 in shape and not batch_first:
            shape = (3, 0, 8)  # an empty batch, not an empty sequence
        x = torch.randn(*shape)
        text = check_mha(module.float(), x, x, x)
        assert text.startswith("multi_head_attention(v0, v0, v0, v1, ")


def test_key_that_is_value() -> None:
    q, memory = torch.randn(5, 3, 8), torch.randn(7, 3, 8)
    check_mha(nn.MultiheadAttention(8, 2), q, memory, memory)


@pytest.mark.parametrize("asked", ASKED)
def test_row_masked_out_as_torch_has_it(asked: dict[str, Any]) -> None:
    """NaN where the weights are computed for the caller, else zero."""
    mask = torch.zeros(5, 7, dtype=torch.bool)
    mask[2] = True
    padding = torch.zeros(3, 7, dtype=torch.bool)
    padding[1] = True
    added = torch.zeros(5, 7).masked_fill(mask, -INF)
    for given in (
        {"attn_mask": mask},
        {"attn_mask": added},
        {"key_padding_mask": padding},
    ):
        for options in ({}, {"add_zero_attn": True}):
            module = nn.MultiheadAttention(8, 2, **options)
            check_mha(module, *inputs({}, True), **given, **asked)


@pytest.mark.parametrize("asked", ASKED)
def test_causal_hint(asked: dict[str, Any]) -> None:
    """The hint stands for the mask only where torch lets it."""
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    x = torch.randn(5, 3, 8)
    padding = torch.zeros(3, 5, dtype=torch.bool)
    padding[1, 3:] = True
    for given in (
        {},
        {"key_padding_mask": torch.zeros(3, 5).masked_fill(padding, -INF)},
    ):
        text = check_mha(
            nn.MultiheadAttention(8, 2), x, x, x,
            attn_mask=mask, is_causal=True, **given, **asked,
        )  # fmt: skip
        hinted = not given and asked == {"need_weights": False}
        assert ("is_causal=True" in text) == hinted
        assert ("attn_mask=" in text) != hinted


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
def test_functional(separate: bool, need_weights: bool) -> None:
    q, k, v = (torch.randn(n, 3, 8) for n in (5, 7, 7))
    bias, out, out_bias = torch.randn(24), torch.randn(8, 8), torch.randn(8)
    weights = torch.randn(3, 8, 8)
    options: dict[str, Any] = {"training": False, "need_weights": need_weights}
    if separate:
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        options |= dict(zip(names, weights, strict=True), use_separate_proj_weight=True)
    packed = None if separate else weights.reshape(24, 8)
    low = (q, k, v, 8, 2, packed, bias, None, None, False, 0.3, out, out_bias)
    call = bind(F.multi_head_attention_forward, low, options)
    text, scope = bound_text(call.name, call.args)
    ours = evaluate(text, scope)
    double = lambda t: t.double() if is_float(t) else t  # noqa: E731
    expected = F.multi_head_attention_forward(*low, **options)
    exact = F.multi_head_attention_forward(
        *map(double, low), **{name: double(t) for name, t in options.items()}
    )
    assert (ours[1] is None) == (not need_weights)
    for a, b, c in zip(ours, expected, exact, strict=True):
        if b is not None:
            compare(a, b, c, text)


def test_functional_refusals() -> None:
    x, w = torch.randn(5, 3, 8), torch.randn(24, 8)
    args = (x, x, x, 8, 2, w, None, None, None, False, 0.3, torch.randn(8, 8), None)
    call = bind(F.multi_head_attention_forward, args, {})  # training by default
    with pytest.raises(Refused, match="random state"):
        bound_text(call.name, call.args)
    text, _ = bound_text(call.name, call.args, stateful=True)
    assert text.startswith("multi_head_attention_dropout(v0, v0, v0, state, v1, ")
    static = {"static_k": torch.randn(6, 5, 4), "training": False}
    call = bind(F.multi_head_attention_forward, args, static)
    with pytest.raises(Refused, match="static_k"):
        bound_text(call.name, call.args)


def test_multi_head_dropout() -> None:
    module = nn.MultiheadAttention(8, 2, dropout=0.5)
    x = torch.randn(5, 3, 8)
    args = leaf_args(module, x, x, x, key_padding_mask=torch.zeros(3, 5) > 1)
    with pytest.raises(Refused, match="random state"):
        bound_text("multi_head_attention", args)
    text, scope = bound_text("multi_head_attention", args, stateful=True)
    run = lambda st: evaluate(text, {**scope, "state": st})  # noqa: E731
    (y, weights), state = run(DropoutState(1, training=False))
    assert state == DropoutState(1, training=False)
    with torch.no_grad():
        still = nn.MultiheadAttention(8, 2)
        still.load_state_dict(module.state_dict())
        low, high = still(x, x, x), still.double()(*(x.double(),) * 3)
    compare((y, weights), low, high, text)
    (drawn, kept), state = run(DropoutState(1))
    assert state == DropoutState(1, 1)
    assert not np.allclose(drawn, y)
    # torch returns the weights after dropout: some zero, the others doubled
    average = np.mean([run(DropoutState(1, k))[0][1] for k in range(400)], axis=0)
    np.testing.assert_allclose(average, weights, atol=0.05)
    assert not np.allclose(kept, weights)
    options = {**args, "need_weights": False, "average_attn_weights": False}
    text, _ = bound_text("multi_head_attention", options, stateful=True)
    assert evaluate(text, {**scope, "state": DropoutState(1)})[0][1] is None
