"""VJP rows of scaled dot-product and multi-head attention."""

from __future__ import annotations

from typing import Any

from luxgen.ir.values import Option, Value
from luxgen.passes.vjp.linear import summed_product, times
from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import OPAQUE, Shape, Term


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


def multi_head(g: Row) -> Cotangents:
    """torch.nn.MultiheadAttention, or F.multi_head_attention_forward."""
    d, d_weights = g.d, g.given[1] if len(g.given) > 1 else None
    weight = g["out_proj_weight"]
    attended = Term(Value(d.dtype, d.shape, d.witness, ("attended",)), g.tape)
    saved = Value(OPAQUE)
    g.op.name = "multi_head_attention_saved"
    g.op.result = (g.op.result, (attended.arg, saved))
    found: Cotangents = {"out_proj_weight": summed_product(d, attended)}
    if g.has("out_proj_bias"):
        found["out_proj_bias"] = d
    options = ("num_heads", "batch_first", "average_attn_weights")
    args = {
        "d": times(d, weight),
        "saved": saved,
        **{k: g.arg(k) for k in options if g.has(k)},
    }
    if d_weights is not None:
        args["d_weights"] = d_weights
    more = g.has("bias_k") + bool(g.const("add_zero_attn", False))
    results = tuple(_projected(g, name, more * (name != "query")) for name in QKV)
    parts = list(g.tape.emit("multi_head_backward", args, results))
    if more:
        steps = 0 if g["key"].ndim == 2 or not g.const("batch_first", False) else 1
        if g.has("bias_k"):
            found["bias_k"] = _appended(g, parts[1], steps, -more, "bias_k")
            found["bias_v"] = _appended(g, parts[2], steps, -more, "bias_v")
        parts[1:] = [_without_last(part, steps, more) for part in parts[1:]]
    return found | _inputs(g, parts) | _masks(g, args, more)


def _projected(g: Row, name: str, more: int) -> Value:
    """A cotangent of the projected `name`, with `more` steps appended."""
    x, embed = g[name], g["query"].shape[-1:]
    steps = -3 if x.ndim == 3 and not g.const("batch_first", False) else -2

    def sizes(shape: Shape) -> Shape:
        longer = [*shape[:-1], *embed]
        longer[steps] += more
        return tuple(longer)

    return Value(x.dtype, sizes(x.shape), sizes(x.witness), (f"d_{name[0]}",))


def _without_last(x: Term, dim: int, count: int) -> Term:
    shapes = x.both(lambda s: (*s[:dim], s[dim] - count, *s[dim + 1 :]))
    return x.tape.op("slice", like=x, **shapes, input=x, dim=dim, end=-count)


def _appended(g: Row, d: Term, dim: int, index: int, name: str) -> Term:
    """The cotangent of `name`, which is one step for each of the batch."""
    shapes = d.both(lambda s: (*s[:dim], *s[dim + 1 :]))
    step = d.tape.op("select", like=d, **shapes, input=d, dim=dim, index=index)
    return (step.sum(0) if step.ndim == 2 else step).reshape_as(g[name])


def _inputs(g: Row, parts: list[Term]) -> Cotangents:
    """Cotangents of inputs, projection weights and biases."""
    found: Cotangents = {}
    packed = not g.const("use_separate_proj_weight", g.has("q_proj_weight"))
    query, key, value = (g.arg(name) for name in QKV)
    if packed and query is key and key is value:
        d = joined(parts, -1)
        if g.has("in_proj_bias"):
            found["in_proj_bias"] = d
        found["in_proj_weight"] = summed_product(d, g["query"])
        return found | {"query": times(d, g["in_proj_weight"])}
    if packed:
        weight = g["in_proj_weight"]
        shape = (weight.shape[0] // 3, *weight.shape[1:])
        thirds = tuple(Value(weight.dtype, shape, shape, (f"w_{n}",)) for n in "qkv")
        weights = g.tape.emit("chunk", {"input": weight, "chunks": 3, "dim": 0}, thirds)
    else:
        weights = tuple(g[f"{n}_proj_weight"] for n in "qkv")
    of_weights = []
    for name, d, weight in zip(QKV, parts, weights, strict=True):
        found[name] = times(d, weight)
        of_weights.append(summed_product(d, g[name]))
    if packed:
        found["in_proj_weight"] = joined(of_weights, 0)
    else:
        names = (f"{n}_proj_weight" for n in "qkv")
        found |= dict(zip(names, of_weights, strict=True))
    if g.has("in_proj_bias"):
        sums = [d.sum(tuple(range(d.ndim - 1))) for d in parts]
        found["in_proj_bias"] = joined(sums, 0)
    return found


def joined(terms: list[Term], dim: int) -> Term:
    """The terms one after the other along `dim`."""
    first, dim = terms[0], dim % terms[0].ndim

    def sizes(shapes: list[Shape]) -> Shape:
        total = sum(s[dim] for s in shapes)
        return (*shapes[0][:dim], total, *shapes[0][dim + 1 :])

    return first.tape.op(
        "cat", like=first, shape=sizes([t.shape for t in terms]),
        witness=sizes([t.witness for t in terms]), tensors=tuple(terms), dim=dim,
    )  # fmt: skip


def _masks(g: Row, args: dict[str, Any], more: int) -> Cotangents:
    """Cotangents of the masks that are added to the scores."""
    names = ("attn_mask", "key_padding_mask")
    masks = [n for n in names if g.is_tensor(n) and g[n].is_float]
    if not masks:
        return {}
    number = g.op.args["num_heads"]
    heads = number.value if isinstance(number, Option) else number
    key = _projected(g, "key", more)

    def sizes(query: Shape, key: Shape) -> Shape:
        if len(query) == 2:
            return (heads, query[0], key[0])
        first = bool(g.const("batch_first", False))
        return (query[not first], heads, query[first], key[first])

    query = g["query"]
    d = g.tape.op(
        "multi_head_scores_backward", like=query, shape=sizes(query.shape, key.shape),
        witness=sizes(query.witness, key.witness),
        **args,
    )  # fmt: skip
    if more:
        d = _without_last(d, d.ndim - 1, more)
    found: Cotangents = {}
    for name in masks:
        if name == "key_padding_mask":
            found[name] = d.sum((-3, -2))
        else:
            found[name] = d.reshape_as(g[name]) if g[name].ndim == 3 else d
    return found


VJP: dict[str, Vjp] = {
    "scaled_dot_product_attention": dot_product,
    "multi_head_attention": multi_head,
    "multi_head_attention_forward": multi_head,
}
