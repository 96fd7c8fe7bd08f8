"""VJP rows of selection by a mask."""

from __future__ import annotations

import numpy as np

from luxgen.passes.vjp.row import Cotangents, Row, Vjp


def where(g: Row) -> Cotangents:
    mask = g["condition"]
    return {"input": mask.where(g.d, 0), "other": mask.where(0, g.d)}


def masked_fill(g: Row) -> Cotangents:
    mask = g["mask"]
    return {"input": mask.where(0, g.d), "value": mask.where(g.d, 0)}


def masked_select(g: Row) -> Cotangents:
    x, mask = g["input"], g["mask"]
    return {
        "input": g.tape.op(
            "masked_scatter",
            like=x,
            shape=np.broadcast_shapes(x.shape, mask.shape),
            witness=np.broadcast_shapes(x.witness, mask.witness),
            input=x.zeros_like(),
            mask=mask,
            source=g.d,
        )
    }


def masked_scatter(g: Row) -> Cotangents:
    mask, source = g["mask"], g["source"]
    used = g.tape.op(
        "masked_scatter_backward", like=source, d=g.d, mask=mask, source=source
    )
    return {"input": mask.where(0, g.d), "source": used}


VJP: dict[str, Vjp] = {
    "where": where,
    "masked_fill": masked_fill,
    "masked_select": masked_select,
    "masked_scatter": masked_scatter,
}
