"""VJP row of least squares."""

from __future__ import annotations

from typing import Any

from luxgen.passes.vjp.linalg import adjoint
from luxgen.passes.vjp.row import Cotangents, Row, Vjp


def lstsq(g: Row) -> Cotangents:
    """Of the solution pinv(A) b, and of the residuals, which it makes smallest."""
    a, b, d = g["input"], g["b"], g.d
    shapes = a.both(lambda s: (*s[:-2], s[-1], s[-2]))
    y = a.tape.op("linalg_pinv", like=a, **shapes, input=a)
    d_y = d @ adjoint(b)
    found = {
        "input": g.tape.op("pinv_backward", like=a, d=d_y, input=a, y=y),
        "b": adjoint(y) @ d,
    }
    measured = g.const("driver") not in (None, "gelsy")  # the residuals
    if measured and g.given[1] is not None:
        args: dict[str, Any] = {"d": g.d_of(1), "input": a, "b": b, "y": g.out}
        slope = g.tape.op("residuals_backward", like=b, **args)
        found["input"] = found["input"] + slope @ adjoint(g.out)
        found["b"] = found["b"] - slope
    return found


VJP: dict[str, Vjp] = {"linalg_lstsq": lstsq}
