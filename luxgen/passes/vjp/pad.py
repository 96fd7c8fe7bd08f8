"""VJP rows of padding: constant amounts are cropped, copies are added up."""

from __future__ import annotations

from luxgen.passes.vjp.row import Cotangents, Row, Vjp


def pad(g: Row) -> Cotangents:
    """F.pad."""
    return padded(g, "pad", g.const("mode", "constant"))


def pad_mode(mode: str) -> Vjp:
    """aten's functions for one mode each."""
    return lambda g: padded(g, "pad" if g.has("pad") else "padding", mode)


def padded(g: Row, name: str, mode: str) -> Cotangents:
    x, amounts = g["input"], g.arg(name)
    if mode == "constant":
        opposite = tuple(g.tape.term(a) * -1 for a in amounts)
        dx = g.tape.op("constant_pad_nd", like=x, input=g.d, pad=opposite)
    else:
        dx = g.tape.op("pad_backward", like=x, d=g.d, pad=amounts, mode=mode)
    return {"input": dx}


VJP: dict[str, Vjp] = {
    "pad": pad,
    "constant_pad_nd": pad_mode("constant"),
    **{f"reflection_pad{n}d": pad_mode("reflect") for n in (1, 2, 3)},
    **{f"replication_pad{n}d": pad_mode("replicate") for n in (1, 2, 3)},
}
