"""Gradients of multi-head attention between its projections."""

import math

from luxgen.ops.attention import head_weights, merge_heads, project_heads, split_heads
from luxgen.ops.dropout import DropoutState, dropout
from luxgen.ops.linear import linear
from luxgen.ops.types import Array


def multi_head_attention_saved(
    query: Array,
    key: Array,
    value: Array,
    in_proj_weight: Array,
    out_proj_weight: Array,
    in_proj_bias: Array | None = None,
    out_proj_bias: Array | None = None,
    *,
    num_heads: int,
    batch_first: bool = False,
    k_proj_weight: Array | None = None,
    v_proj_weight: Array | None = None,
    bias_k: Array | None = None,
    bias_v: Array | None = None,
    add_zero_attn: bool = False,
    key_padding_mask: Array | None = None,
    attn_mask: Array | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[tuple[Array, Array | None], tuple[Array, tuple[Array, ...]]]:
    """Run `multi_head_attention`; also what out_proj gets, and (q, k, v, weights)."""
    q, k, v = project_heads(
        query,
        key,
        value,
        in_proj_weight,
        in_proj_bias,
        num_heads=num_heads,
        batch_first=batch_first,
        k_proj_weight=k_proj_weight,
        v_proj_weight=v_proj_weight,
        bias_k=bias_k,
        bias_v=bias_v,
        add_zero_attn=add_zero_attn,
    )
    weights = head_weights(
        q,
        k,
        key_padding_mask=key_padding_mask,
        attn_mask=attn_mask,
        need_weights=need_weights,
        is_causal=is_causal,
    )
    attended = merge_heads(weights @ v, batch_first=batch_first)
    y = linear(attended, out_proj_weight, out_proj_bias)
    saved = attended, (q, k, v, weights)
    if need_weights:
        return (y, weights.mean(axis=-3) if average_attn_weights else weights), saved
    return (y, None), saved


def multi_head_attention_dropout_saved(
    query: Array,
    key: Array,
    value: Array,
    st: DropoutState,
    in_proj_weight: Array,
    out_proj_weight: Array,
    in_proj_bias: Array | None = None,
    out_proj_bias: Array | None = None,
    *,
    num_heads: int,
    dropout_p: float,
    batch_first: bool = False,
    k_proj_weight: Array | None = None,
    v_proj_weight: Array | None = None,
    bias_k: Array | None = None,
    bias_v: Array | None = None,
    add_zero_attn: bool = False,
    key_padding_mask: Array | None = None,
    attn_mask: Array | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[
    tuple[tuple[Array, Array | None], tuple[Array, tuple[Array, ...]]], DropoutState
]:
    """Run `multi_head_attention_dropout`; and save the weights before and after."""
    q, k, v = project_heads(
        query,
        key,
        value,
        in_proj_weight,
        in_proj_bias,
        num_heads=num_heads,
        batch_first=batch_first,
        k_proj_weight=k_proj_weight,
        v_proj_weight=v_proj_weight,
        bias_k=bias_k,
        bias_v=bias_v,
        add_zero_attn=add_zero_attn,
    )
    weights = head_weights(
        q,
        k,
        key_padding_mask=key_padding_mask,
        attn_mask=attn_mask,
        need_weights=need_weights,
        is_causal=is_causal,
    )
    dropped, st = dropout(weights, st, p=dropout_p)
    attended = merge_heads(dropped @ v, batch_first=batch_first)
    y = linear(attended, out_proj_weight, out_proj_bias)
    saved = attended, (q, k, v, weights, dropped)
    if need_weights:
        return (
            (y, dropped.mean(axis=-3) if average_attn_weights else dropped),
            saved,
        ), st
    return ((y, None), saved), st


def multi_head_scores_backward(
    d: Array,
    saved: tuple[Array, ...],
    d_weights: Array | None = None,
    *,
    num_heads: int,
    batch_first: bool = False,
    average_attn_weights: bool = True,
) -> Array:
    """Cotangent (N, H, L, S) of the scores, given that of what out_proj gets.

    `d_weights` is that of the weights that the layer returns.
    """
    v, weights, dropped = saved[2], saved[3], saved[-1]
    d_scores: Array = split_heads(d, num_heads, batch_first=batch_first)
    d_scores = d_scores @ v.swapaxes(-1, -2)
    if d_weights is not None and average_attn_weights:
        d_scores += d_weights[..., None, :, :] / num_heads
    elif d_weights is not None:
        d_scores += d_weights
    d_scores *= dropped
    d_scores -= d_scores.sum(axis=-1, keepdims=True) * weights
    return d_scores


def multi_head_backward(
    d: Array,
    saved: tuple[Array, ...],
    d_weights: Array | None = None,
    *,
    num_heads: int,
    batch_first: bool = False,
    average_attn_weights: bool = True,
) -> tuple[Array, Array, Array]:
    """Cotangents (L, N, E) of projected query, key and value, appended steps too."""
    q, k, dropped = saved[0], saved[1], saved[-1]
    d_scores = multi_head_scores_backward(
        d,
        saved,
        d_weights,
        num_heads=num_heads,
        batch_first=batch_first,
        average_attn_weights=average_attn_weights,
    )
    d_scores *= 1 / math.sqrt(q.shape[-1])
    d_v = dropped.swapaxes(-1, -2) @ split_heads(d, num_heads, batch_first=batch_first)
    d_q = merge_heads(d_scores @ k, batch_first=batch_first)
    d_k = merge_heads(d_scores.swapaxes(-1, -2) @ q, batch_first=batch_first)
    return d_q, d_k, merge_heads(d_v, batch_first=batch_first)
