"""VJP rows of scaled dot-product and multi-head attention."""

from __future__ import annotations

from typing import Any

from luxgen.ir.values import Value
from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Shape, Term


def dot_product(g: Row) -> Cotangents:
    """By the weights of the forward pass; a float mask has a gradient too."""
    dropped = g.op.state is not None and g.const("dropout_p", 0.0) > 0
    d, (query, key, value) = g.d, (g[n] for n in QKV)
    variant = "scaled_dot_product_attention_saved"
    names = ("weights", "dropped")
    saved: dict[str, Any] = {}
    if dropped:
        saved |= g.save_parts(variant, *names)
    else:
        saved["weights"] = g.save(variant)
    options = {n: g.arg(n) for n in ("scale", "enable_gqa") if g.has(n)}
    args = {"d": d, "query": query, "key": key, "value": value}
    grouped = bool(g.const("enable_gqa", False))
    results = tuple(_for_each(d, x, grouped) for x in (query, key, value))
    found = g.tape.emit(
        "scaled_dot_product_attention_backward", args | saved | options, results
    )
    cotangents = dict(zip(QKV, found, strict=True))
    if g.is_tensor("attn_mask") and g["attn_mask"].is_float:
        cotangents["attn_mask"] = g.tape.op(
            "attention_scores_backward", like=d,
            shape=d.shape[:-1] + key.shape[-2:-1],
            witness=d.witness[:-1] + key.witness[-2:-1],
            d=d, value=value, **saved,
        )  # fmt: skip
    return cotangents


QKV = ("query", "key", "value")


def _for_each(d: Term, x: Term, grouped: bool) -> Value:
    """A cotangent of `x` for each of the batch of `d`, or of its own heads."""
    own = 3 if grouped else 2

    def sizes(batch: Shape, shape: Shape) -> Shape:
        return batch[: len(batch) - own] + shape[-own:]

    return Value(d.dtype, sizes(d.shape, x.shape), sizes(d.witness, x.witness))


VJP: dict[str, Vjp] = {"scaled_dot_product_attention": dot_product}
