"""Gradients of scaled dot-product attention, by the weights that forward computed.

With s the scores, w = softmax(s) and y = w @ v, the cotangent of s is
w * (d_w - rowsum(d_w * w)), where d_w = d @ v.T is that of w.
"""

import math

from luxgen.ops.attention import attention_weights
from luxgen.ops.dropout import DropoutState, dropout
from luxgen.ops.types import Array


def scaled_dot_product_attention_saved(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Array, Array]:
    """Attend as `scaled_dot_product_attention` does: y, and the weights."""
    weights = attention_weights(
        query,
        key,
        attn_mask,
        is_causal=is_causal,
        scale=scale,
        enable_gqa=enable_gqa,
    )
    if enable_gqa:
        value = value.repeat(query.shape[-3] // value.shape[-3], axis=-3)
    return weights @ value, weights


def scaled_dot_product_attention_dropout_saved(
    query: Array,
    key: Array,
    value: Array,
    st: DropoutState,
    attn_mask: Array | None = None,
    *,
    dropout_p: float,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[tuple[Array, tuple[Array, Array]], DropoutState]:
    """Attend with dropout: y, and the weights before and after it."""
    weights = attention_weights(
        query,
        key,
        attn_mask,
        is_causal=is_causal,
        scale=scale,
        enable_gqa=enable_gqa,
    )
    dropped, st = dropout(weights, st, p=dropout_p)
    if enable_gqa:
        value = value.repeat(query.shape[-3] // value.shape[-3], axis=-3)
    return (dropped @ value, (weights, dropped)), st


def attention_scores_backward(
    d: Array, value: Array, weights: Array, dropped: Array | None = None
) -> Array:
    """Cotangent (..., L, S) of the scores, given that of y (..., L, V)."""
    if value.ndim > 2 and value.shape[-3] not in (1, d.shape[-3]):
        value = value.repeat(d.shape[-3] // value.shape[-3], axis=-3)
    d_scores: Array = d @ value.swapaxes(-1, -2)
    d_scores *= weights if dropped is None else dropped
    d_scores -= d_scores.sum(axis=-1, keepdims=True) * weights
    return d_scores


def sum_groups(x: Array, heads: int) -> Array:
    """Sum x (..., H, S, E) over the groups of heads that share one: (..., h, S, E)."""
    groups = x.reshape(*x.shape[:-3], heads, x.shape[-3] // heads, *x.shape[-2:])
    y: Array = groups.sum(axis=-3)
    return y


def scaled_dot_product_attention_backward(
    d: Array,
    query: Array,
    key: Array,
    value: Array,
    weights: Array,
    dropped: Array | None = None,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Array, Array, Array]:
    """Cotangents of query, key and value, given that of y, for each of the batch."""
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    d_scores = attention_scores_backward(d, value, weights, dropped)
    d_key = d_scores.swapaxes(-1, -2) @ (query * factor)
    d_value = (weights if dropped is None else dropped).swapaxes(-1, -2) @ d
    if enable_gqa:
        d_key = sum_groups(d_key, key.shape[-3])
        d_value = sum_groups(d_value, value.shape[-3])
        key = key.repeat(query.shape[-3] // key.shape[-3], axis=-3)
    return d_scores @ (key * factor), d_key, d_value
