"""VJP rows of affine maps and table look-ups."""

from __future__ import annotations

from luxgen.passes.vjp.row import Cotangents, Row, Vjp
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


VJP: dict[str, Vjp] = {"linear": linear, "embedding": embedding}
