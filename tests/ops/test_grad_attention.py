"""Gradients of attention against torch.autograd."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from luxgen.ops.dropout import DropoutState, dropout
from tests.ops.gradcheck import check_stateful, check_vjp

sdpa = F.scaled_dot_product_attention
INF = float("inf")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def leaf(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, requires_grad=True)


def qkv(*batch: int, steps: int = 5, keys: int = 7) -> list[torch.Tensor]:
    sizes = ((steps, 8), (keys, 8), (keys, 6))
    return [leaf(*batch, *size) for size in sizes]


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (2, 1, 3), (0, 3)])
def test_dot_product(batch: tuple[int, ...]) -> None:
    check_vjp(sdpa, *qkv(*batch))
    check_vjp(sdpa, *qkv(*batch), scale=0.3)
    check_vjp(sdpa, *qkv(*batch), is_causal=True)


@pytest.mark.parametrize("shape", [(5, 7), (1, 7), (5, 1), (3, 5, 7), (2, 1, 1, 7)])
def test_masks(shape: tuple[int, ...]) -> None:
    check_vjp(sdpa, *qkv(2, 3), torch.rand(shape) > 0.3)
    check_vjp(sdpa, *qkv(2, 3), torch.randn(shape))
    check_vjp(sdpa, *qkv(2, 3), leaf(*shape))


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
    q, k, v = leaf(2, 6, 5, 8), leaf(2, heads, 7, 8), leaf(2, values, 7, 6)
    check_vjp(sdpa, q, k, v, enable_gqa=True)
    check_vjp(sdpa, q, k, v, leaf(5, 7), enable_gqa=True)


def test_one_head_or_sample_for_all() -> None:
    q = leaf(2, 3, 5, 8)
    check_vjp(sdpa, q, leaf(1, 3, 7, 8), leaf(1, 3, 7, 6))
    check_vjp(sdpa, q, leaf(2, 1, 7, 8), leaf(2, 1, 7, 6))
    check_vjp(sdpa, q, leaf(1, 1, 7, 8), leaf(2, 3, 7, 6))


def test_self_attention() -> None:
    x = leaf(2, 5, 8)
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
        args["attn_mask"] = leaf(5, 7)
    args["dropout_p"] = 0.4
    check_stateful("scaled_dot_product_attention", args, state, reference)
