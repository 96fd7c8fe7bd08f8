"""VJP rows of affine maps and table look-ups."""

from __future__ import annotations

from luxgen.passes.vjp.row import Cotangents, NoGradient, Row, Vjp
from luxgen.passes.vjp.terms import Term


def linear(g: Row) -> Cotangents:
    """y = x @ weight.T + bias, over all leading dims of x at once."""
    x, weight = g["input"], g["weight"]
    found: Cotangents = {"bias": g.d} if g.has("bias") else {}
    if weight.ndim == 1:
        d = g.d.unsqueeze(-1)
        return found | {"input": d * weight.conj(), "weight": d * x.conj()}
    return found | {
        "input": times(g.d, weight.conj()),
        "weight": summed_product(g.d, x.conj()),
    }


def times(d: Term, weight: Term) -> Term:
    """d (..., out) @ weight (out, in), as one matrix product."""
    if d.ndim <= 2:
        return d @ weight
    return d.tape.op(
        "linear", like=d, shape=d.shape[:-1] + weight.shape[-1:],
        witness=d.witness[:-1] + weight.witness[-1:],
        input=d, weight=weight.transpose(),
    )  # fmt: skip


def summed_product(a: Term, b: Term) -> Term:
    """(m, n): a (..., m) times b (..., n), summed over all dims but their last."""
    if a.ndim == 1:
        return a.tape.op(
            "outer", like=a, shape=a.shape + b.shape, witness=a.witness + b.witness,
            input=a, vec2=b,
        )  # fmt: skip
    if a.ndim == 2:
        return a.transpose() @ b
    lead = tuple(range(a.ndim - 1))
    return a.tape.op(
        "tensordot", like=a, shape=(a.shape[-1], b.shape[-1]),
        witness=(a.witness[-1], b.witness[-1]), a=a, b=b, dims=(lead, lead),
    )  # fmt: skip


def embedding(g: Row) -> Cotangents:
    """F.embedding(input, weight) or torch.embedding(weight, indices)."""
    index = "indices" if "indices" in g.op.args else "input"
    options = {k: g.arg(k) for k in ("padding_idx", "scale_grad_by_freq") if g.has(k)}
    if index == "indices" and options.get("padding_idx") == -1:
        del options["padding_idx"]  # torch.embedding's own way to say None
    weight = g.tape.op(
        "embedding_backward", like=g["weight"],
        d=g.d, input=g[index], weight=g["weight"], **options,
    )  # fmt: skip
    return {"weight": weight}


BAGS = ("offsets", "include_last_offset", "padding_idx")


def embedding_bag(g: Row) -> Cotangents:
    """F.embedding_bag; its per_sample_weights are those of a sum."""
    if g.const("scale_grad_by_freq", False):
        raise NoGradient(  # by those at the unique rows' places in the sorted input
            "embedding_bag with scale_grad_by_freq: torch's CPU gradient divides by the "
            "counts of other rows",
            "leave scale_grad_by_freq out, or reduce F.embedding's rows yourself",
        )
    args = {k: g.arg(k) for k in ("input", "weight", *BAGS) if g.has(k)}
    args["d"] = g.d
    names = ("mode", "per_sample_weights")
    of_weight = args | {k: g.arg(k) for k in names if g.has(k)}
    found = {
        "weight": g.tape.op("embedding_bag_backward", like=g["weight"], **of_weight)
    }
    if g.has("per_sample_weights"):
        like = g["per_sample_weights"]
        args |= {"per_sample_weights": like, "offsets": g.arg("offsets")}
        found["per_sample_weights"] = g.tape.op(
            "embedding_bag_samples_backward", like=like, **args
        )
    return found


def bilinear(g: Row) -> Cotangents:
    """y_o = a^T W_o b + bias, over all leading dims of a and b at once."""
    d, a, b, weight = g.d, g["input1"], g["input2"], g["weight"]
    lead = d.both(lambda s: s[:-1])
    mixed = g.tape.op(  # the sum of d_o W_o: (..., in1, in2)
        "tensordot", like=d, shape=lead["shape"] + weight.shape[1:],
        witness=lead["witness"] + weight.witness[1:], a=d, b=weight, dims=((-1,), (0,)),
    )  # fmt: skip
    dims = tuple(range(d.ndim - 1))
    pairs = a.unsqueeze(-1) * b.unsqueeze(-2)
    of_weight = g.tape.op("tensordot", like=weight, a=d, b=pairs, dims=(dims, dims))
    found = {
        "input1": (mixed @ b.unsqueeze(-1)).squeeze(-1),
        "input2": (a.unsqueeze(-2) @ mixed).squeeze(-2),
        "weight": of_weight,
    }
    return found | ({"bias": d} if g.has("bias") else {})


VJP: dict[str, Vjp] = {
    "linear": linear,
    "bilinear": bilinear,
    "embedding": embedding,
    "embedding_bag": embedding_bag,
}
