"""Gradients of multi-head attention between its projections."""

import math

import numpy as np

from luxgen.ops.attention import (
    append_step,
    attention_softmax,
    causal_mask,
    in_projection,
    mask_scores,
    merge_heads,
    split_heads,
)
from luxgen.ops.dropout import DropoutState, dropout
from luxgen.ops.linear import linear
from luxgen.ops.types import Array


def project_heads(
    query: Array,
    key: Array,
    value: Array,
    in_proj_weight: Array,
    in_proj_bias: Array | None = None,
    *,
    num_heads: int,
    batch_first: bool = False,
    k_proj_weight: Array | None = None,
    v_proj_weight: Array | None = None,
    bias_k: Array | None = None,
    bias_v: Array | None = None,
    add_zero_attn: bool = False,
) -> tuple[Array, Array, Array]:
    """Project the inputs to heads: q (N, H, L, D), k and v (N, H, S, D)."""
    projected = in_projection(
        query,
        key,
        value,
        in_proj_weight,
        in_proj_bias,
        k_proj_weight=k_proj_weight,
        v_proj_weight=v_proj_weight,
    )
    q, k, v = (split_heads(x, num_heads, batch_first=batch_first) for x in projected)
    if bias_k is not None and bias_v is not None:
        k = append_step(k, bias_k.reshape(num_heads, 1, -1))
        v = append_step(v, bias_v.reshape(num_heads, 1, -1))
    if add_zero_attn:
        k = append_step(k, np.zeros_like(k, shape=1))
        v = append_step(v, np.zeros_like(v, shape=1))
    return q, k, v


def head_weights(
    q: Array,
    k: Array,
    *,
    key_padding_mask: Array | None = None,
    attn_mask: Array | None = None,
    need_weights: bool = True,
    is_causal: bool = False,
) -> Array:
    """How much each step of q attends to each of k: (N, H, L, S)."""
    scores = (q * (1 / math.sqrt(q.shape[-1]))) @ k.swapaxes(-1, -2)
    if is_causal:
        scores += causal_mask(scores)
    if attn_mask is not None:
        own = scores[..., : attn_mask.shape[-1]]  # appended steps stay visible
        if attn_mask.ndim == 3:  # (N H, L, S)
            mask_scores(own, attn_mask.reshape(own.shape))
        else:
            mask_scores(own, attn_mask)
    if key_padding_mask is not None:
        own = scores[..., : key_padding_mask.shape[-1]]
        mask_scores(own, key_padding_mask[..., None, None, :])
    weights = attention_softmax(scores)
    if need_weights and (attn_mask is not None or key_padding_mask is not None):
        weights[~weights.any(axis=-1)] = np.nan  # as torch has it, but for SDPA
    return weights


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
