"""VJP rows of selection by a mask."""

from __future__ import annotations

from luxgen.passes.vjp.row import Cotangents, Row, Vjp


def where(g: Row) -> Cotangents:
    mask = g["condition"]
    return {"input": mask.where(g.d, 0), "other": mask.where(0, g.d)}


def masked_fill(g: Row) -> Cotangents:
    mask = g["mask"]
    return {"input": mask.where(0, g.d), "value": mask.where(g.d, 0)}


VJP: dict[str, Vjp] = {"where": where, "masked_fill": masked_fill}
