"""VJP rows of new arrays: none depends on the tensor it looks like."""

from __future__ import annotations

from typing import Any

from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term


def zero(g: Row) -> Cotangents:
    """Of a dtype, a shape or numbers only; torch.tensor and full copy values."""
    return {}


def same(g: Row) -> Cotangents:
    """torch.as_tensor of a tensor is that tensor."""
    return {"data": g.d} if g.is_tensor("data") else {}


def vander(g: Row) -> Cotangents:
    """The power k of each element gets k times the power k - 1."""
    x = g["x"]
    options: dict[str, Any] = (
        {"increasing": True} if g.const("increasing", False) else {}
    )
    back: Term = g.tape.op("vander_backward", like=x, d=g.d, y=g.out, **options)
    return {"x": back}


CONSTANTS = (
    "zeros", "ones", "empty", "empty_permuted", "full", "zeros_like", "ones_like",
    "empty_like", "full_like", "new_zeros", "new_ones", "new_empty", "new_full",
    "arange", "linspace", "logspace", "eye", "tensor", "from_numpy", "new_tensor",
    "scalar_tensor",
)  # fmt: skip

VJP: dict[str, Vjp] = {
    **dict.fromkeys(CONSTANTS, zero),
    "as_tensor": same,
    "asarray": same,
    "vander": vander,
}
