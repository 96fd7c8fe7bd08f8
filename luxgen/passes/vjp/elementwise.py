"""VJP rows of elementwise arithmetic."""

from __future__ import annotations

from luxgen.passes.vjp.row import Cotangents, Row, Vjp


def add(g: Row) -> Cotangents:
    scaled = g.d * g["alpha"] if g.has("alpha") else g.d
    return {"input": g.d, "other": scaled}


def mul(g: Row) -> Cotangents:
    return {"input": g.d * g["other"].conj(), "other": g.d * g["input"].conj()}


def tanh(g: Row) -> Cotangents:
    return {"input": g.d * (1 - g.out * g.out).conj()}


VJP: dict[str, Vjp] = {"add": add, "mul": mul, "tanh": tanh}
