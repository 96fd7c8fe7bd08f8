"""Attention end to end: masks, options, layers, kernels in both modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import luxgen
from tests.semantics.agree import agree, drawn


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def x(*shape: int) -> Tensor:
    return torch.randn(*shape)


class Sdpa(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self.function(q, k, v)


def sdpa(*args: Any, **kwargs: Any) -> Tensor:
    return F.scaled_dot_product_attention(*args, **kwargs)


def true_attends(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    mask = torch.arange(q.size(-2))[:, None] >= torch.arange(k.size(-2))[None] - 1
    return sdpa(q, k, v, attn_mask=mask)


def added(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return sdpa(q, k, v, attn_mask=-torch.arange(k.size(-2))[None] * 0.5)


def causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return sdpa(q, k, v, is_causal=True) + sdpa(q, k, v, is_causal=True, scale=0.3)


def masked_out(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """A row that attends to nothing is as torch gives it."""
    mask = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool)
    mask[0] = False
    return sdpa(q, k, v, attn_mask=mask)


def minus_infinity(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    mask = torch.zeros(q.size(-2), k.size(-2))
    mask[1] = float("-inf")
    return sdpa(q, k, v, attn_mask=mask)


@pytest.mark.parametrize(
    "function", [sdpa, true_attends, added, causal, masked_out, minus_infinity]
)
def test_scaled_dot_product(function: Callable[..., Any]) -> None:
    agree(Sdpa(function), x(2, 3, 4, 8), x(2, 3, 5, 8), x(2, 3, 5, 6), modes=("eval",))


def test_grouped_queries() -> None:
    grouped = Sdpa(lambda q, k, v: sdpa(q, k, v, enable_gqa=True))
    agree(grouped, x(2, 4, 3, 8), x(2, 2, 5, 8), x(2, 2, 5, 8), modes=("eval",))


class Attends(nn.Module):
    def __init__(self, call: dict[str, Any], **options: Any) -> None:
        super().__init__()
        self.attention, self.call = nn.MultiheadAttention(8, 2, **options), call

    def forward(self, x: Tensor) -> Any:
        return self.attention(x, x, x, **self.call)


MULTI_HEAD: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "batch first": ({}, {"batch_first": True}),
    "no weights": ({"need_weights": False}, {"batch_first": True}),
    "weights per head": ({"average_attn_weights": False}, {}),
    "no bias": ({}, {"bias": False}),
    "bias of keys": ({}, {"add_bias_kv": True}),
    "zero attention": ({"need_weights": False}, {"add_zero_attn": True}),
    "causal": ({"is_causal": True, "need_weights": False,
                "attn_mask": torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)},
               {"batch_first": True}),
    "true is ignored": ({"attn_mask": torch.eye(5, dtype=torch.bool)}, {"batch_first": True}),
    "added mask": ({"attn_mask": torch.eye(5) * -2}, {"batch_first": True}),
}  # fmt: skip


@pytest.mark.parametrize("name", MULTI_HEAD)
def test_multi_head(name: str) -> None:
    call, options = MULTI_HEAD[name]
    first = options.get("batch_first")
    model = Attends(call, **options)
    other = x(3, 5, 8) if first else x(5, 3, 8)
    agree(
        model,
        x(2, 5, 8) if first else x(5, 2, 8),
        batches=(),
        others=((other,),),
        modes=("eval",),
    )


class Cross(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, kdim=6, vdim=4, batch_first=True)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, padding: Tensor) -> Any:
        return self.attention(q, k, v, key_padding_mask=padding)


def test_cross_attention_with_padding() -> None:
    padding = torch.tensor([[False, False, True], [False, True, True]])
    agree(
        Cross(),
        x(2, 4, 8),
        x(2, 3, 6),
        x(2, 3, 4),
        padding,
        batches=(4,),
        modes=("eval",),
    )


def test_unbatched() -> None:
    agree(Attends({}), x(5, 8), batches=(), modes=("eval",))


LAYER: dict[str, dict[str, Any]] = {
    "plain": {}, "batch first": {"batch_first": True}, "norm first": {"norm_first": True},
    "gelu": {"activation": "gelu", "batch_first": True}, "no bias": {"bias": False},
}  # fmt: skip


@pytest.mark.parametrize("name", LAYER)
def test_encoder_layer(name: str) -> None:
    """eval() takes torch's fast path, train() doesn't: they agree with us both."""
    layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, **LAYER[name])
    agree(layer, x(3, 5, 8), batches=(2,))


class Encodes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(
            layer, 2, nn.LayerNorm(8), enable_nested_tensor=False
        )

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        padding = torch.arange(x.size(1))[None] >= lengths[:, None]
        causal = nn.Transformer.generate_square_subsequent_mask(x.size(1))
        y = self.encoder(x, mask=causal.isinf(), src_key_padding_mask=padding)
        return y.masked_fill(padding[..., None], 0.0)


def test_encoder_with_masks() -> None:
    agree(Encodes(), x(3, 5, 8), torch.tensor([5, 3, 4]), batches=(2,))


class Decodes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.transformer = nn.Transformer(8, 2, 2, 2, 12, dropout=0.0, batch_first=True)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        mask = self.transformer.generate_square_subsequent_mask(target.size(1))
        return self.transformer(source, target, tgt_mask=mask)


def test_transformer() -> None:
    agree(Decodes(), x(2, 4, 8), x(2, 3, 8), batches=(3,))


def test_nested_tensor_fast_path_is_right_or_refused() -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2)

        def forward(self, x: Tensor, padding: Tensor) -> Tensor:
            y = self.encoder(x, src_key_padding_mask=padding)
            return F.pad(y, (0, 0, 0, x.size(1) - y.size(1))).masked_fill(
                padding[..., None], 0.0
            )

    padding = torch.tensor([[False, False, False], [False, False, True]])
    try:
        agree(Nested(), x(2, 3, 8), padding, batches=())
    except luxgen.UnsupportedError as error:
        assert error.sites


class Dropped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, _ = self.attention(x, x, x, need_weights=False)
        return y, sdpa(x, x, x, dropout_p=0.5 if self.training else 0.0)


def test_dropout_of_weights() -> None:
    model = Dropped()
    agree(model, x(2, 5, 8), modes=("eval",))
    module, ps, st = drawn(model, x(2, 5, 8))
    data = x(2, 5, 8).numpy()
    still, _ = module.apply(data, ps, module.testmode(st))
    one, after = module.apply(data, ps, module.trainmode(st))
    two, _ = module.apply(data, ps, after)
    for k in (0, 1):
        assert (one[k] != still[k]).any() and (one[k] != two[k]).any()


class Rotary(nn.Module):
    """Rotary positions, a cache of cosines, sliced by the length."""

    def __init__(self) -> None:
        super().__init__()
        inverse = 1.0 / (100 ** (torch.arange(0, 8, 2).float() / 8))
        angles = torch.outer(torch.arange(32).float(), inverse)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.qkv = nn.Linear(16, 48, bias=False)

    def rotated(self, x: Tensor) -> Tensor:
        cos, sin = self.cos[: x.size(-2)], self.sin[: x.size(-2)]
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)

    def forward(self, x: Tensor) -> Tensor:
        B, T, _ = x.shape
        q, k, v = (t.view(B, T, 2, 8).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        y = sdpa(self.rotated(q), self.rotated(k), v, is_causal=True)
        return y.transpose(1, 2).reshape(B, T, -1)


def test_rotary() -> None:
    agree(Rotary(), x(2, 6, 16), modes=("eval",), others=((x(3, 9, 16),),))


class Relative(nn.Module):
    """A learned bias looked up by distance, ALiBi slopes, einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.bias, self.proj = nn.Embedding(9, 2), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        T = x.size(1)
        distance = (torch.arange(T)[None] - torch.arange(T)[:, None]).clamp(-4, 4) + 4
        h = self.proj(x).view(*x.shape[:2], 2, 4)
        scores = torch.einsum("bihd,bjhd->bhij", h, h) / 2 + self.bias(
            distance
        ).permute(2, 0, 1)
        slopes = torch.tensor([0.5, 0.25])[:, None, None] * (distance - 4).abs()
        return torch.einsum(
            "bhij,bjhd->bihd", (scores - slopes).softmax(-1), h
        ).flatten(2)


def test_relative_positions() -> None:
    agree(Relative(), x(2, 6, 8), modes=("eval",), others=((x(1, 8, 8),),))
