"""Attention: scaled dot products, and torch.nn.MultiheadAttention around them."""

import math

import numpy as np

from luxgen.ops.dropout import DropoutState, dropout
from luxgen.ops.linear import linear
from luxgen.ops.types import Array


def attention_softmax(scores: Array) -> Array:
    """Softmax over the last axis, in place; a row that is all -inf becomes zero."""
    scores -= scores.max(axis=-1, keepdims=True, initial=np.finfo(scores.dtype).min)
    np.exp(scores, out=scores)
    # the largest score adds 1 to the sum, which is less only where all are -inf
    scores /= np.maximum(scores.sum(axis=-1, keepdims=True), 1)
    return scores


def mask_scores(scores: Array, mask: Array) -> None:
    """Mask the caller's own scores in place: True is left out, floats are added."""
    if mask.dtype == bool:
        np.copyto(scores, -np.inf, where=mask)
    else:
        scores += mask


def causal_mask(scores: Array) -> Array:
    """Lets step l see the steps 0 .. l: zeros, and -inf above the diagonal."""
    return np.triu(np.full(scores.shape[-2:], -np.inf, scores.dtype), 1)


def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Array:
    """Attend from query (..., L, E) to key (..., S, E) and value (..., S, V)."""
    if enable_gqa:  # each head of key and value serves several of query
        key = key.repeat(query.shape[-3] // key.shape[-3], axis=-3)
        value = value.repeat(query.shape[-3] // value.shape[-3], axis=-3)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = (query * factor) @ key.swapaxes(-1, -2)
    if is_causal:
        scores += causal_mask(scores)
    if attn_mask is not None:  # True attends
        mask_scores(scores, ~attn_mask if attn_mask.dtype == bool else attn_mask)
    y: Array = attention_softmax(scores) @ value
    return y


def attention_weights(
    query: Array,
    key: Array,
    attn_mask: Array | None = None,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Array:
    """How much each query (..., L, E) attends to each key (..., S, E): (..., L, S)."""
    if enable_gqa:  # each head of key serves several of query
        key = key.repeat(query.shape[-3] // key.shape[-3], axis=-3)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = (query * factor) @ key.swapaxes(-1, -2)
    if is_causal:
        scores += causal_mask(scores)
    if attn_mask is not None:  # True attends
        mask_scores(scores, ~attn_mask if attn_mask.dtype == bool else attn_mask)
    return attention_softmax(scores)


def scaled_dot_product_attention_dropout(
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
) -> tuple[Array, DropoutState]:
    """Attend as `scaled_dot_product_attention` does, with dropout on the weights."""
    weights = attention_weights(
        query,
        key,
        attn_mask,
        is_causal=is_causal,
        scale=scale,
        enable_gqa=enable_gqa,
    )
    weights, st = dropout(weights, st, p=dropout_p)
    if enable_gqa:
        value = value.repeat(query.shape[-3] // value.shape[-3], axis=-3)
    return weights @ value, st


def in_projection(
    query: Array,
    key: Array,
    value: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    k_proj_weight: Array | None = None,
    v_proj_weight: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Project to q, k, v by weight (3 E, E), in one product for self-attention.

    With k_proj_weight (E, K) and v_proj_weight (E, V), weight is query's own (E, E).
    """
    if k_proj_weight is not None and v_proj_weight is not None:
        w_q, w_k, w_v = weight, k_proj_weight, v_proj_weight
    elif query is key and key is value:
        q, k, v = np.split(linear(query, weight, bias), 3, axis=-1)
        return q, k, v
    else:
        w_q, w_k, w_v = np.split(weight, 3)
    q, k, v = linear(query, w_q), linear(key, w_k), linear(value, w_v)
    if bias is not None:
        b_q, b_k, b_v = np.split(bias, 3)
        q, k, v = q + b_q, k + b_k, v + b_v
    return q, k, v


def split_heads(x: Array, num_heads: int, *, batch_first: bool = False) -> Array:
    """Cut x (L, N, E), (N, L, E) or (L, E) into heads: (N, H, L, D) or (H, L, D)."""
    y = x.reshape(*x.shape[:-1], num_heads, x.shape[-1] // num_heads)
    return y.swapaxes(-3, -2) if batch_first else np.moveaxis(y, 0, -2)


def merge_heads(x: Array, *, batch_first: bool = False) -> Array:
    """Undo `split_heads`."""
    y = x.swapaxes(-3, -2) if batch_first else np.moveaxis(x, -2, 0)
    return y.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1])


def append_step(x: Array, step: Array) -> Array:
    """Append one more step (H, 1, D) to the keys or values x (..., H, S, D)."""
    steps = np.broadcast_to(step, (*x.shape[:-2], 1, x.shape[-1]))
    return np.concatenate([x, steps], axis=-2)


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


def multi_head_attention(
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
) -> tuple[Array, Array | None]:
    """Run torch.nn.MultiheadAttention: the output, and the weights (N, L, S) or None.

    Masks leave out where True, or are added; `in_proj_weight` is query's own where
    k_proj_weight and v_proj_weight are given.
    """
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
    y = merge_heads(weights @ v, batch_first=batch_first)
    y = linear(y, out_proj_weight, out_proj_bias)
    if need_weights:
        return y, weights.mean(axis=-3) if average_attn_weights else weights
    return y, None


def multi_head_attention_dropout(
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
) -> tuple[tuple[Array, Array | None], DropoutState]:
    """Run torch.nn.MultiheadAttention with dropout on the weights."""
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
    weights, st = dropout(weights, st, p=dropout_p)
    y = merge_heads(weights @ v, batch_first=batch_first)
    y = linear(y, out_proj_weight, out_proj_bias)
    if need_weights:
        return (y, weights.mean(axis=-3) if average_attn_weights else weights), st
    return (y, None), st
