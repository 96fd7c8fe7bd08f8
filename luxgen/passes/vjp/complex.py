"""VJP rows of complex numbers and their parts.

The cotangent of a complex number is torch's: of z = x + iy it is dL/dx + i dL/dy.
"""

from __future__ import annotations

from luxgen.passes.vjp.elementwise import through
from luxgen.passes.vjp.row import Cotangents, Row, Vjp


def conj(g: Row) -> Cotangents:
    return {"input": g.d.conj()}


def imag(g: Row) -> Cotangents:
    return {"input": 1j * g.d}


def make_complex(g: Row) -> Cotangents:
    return {"real": g.d.part("real"), "imag": g.d.part("imag")}


def polar(g: Row) -> Cotangents:
    """By the radius 0 where that is 0, as torch has it."""
    radial = g.d * g.out.unary("sgn").conj()
    angular = g.d * (1j * g.out).conj()
    return {"abs": radial.part("real"), "angle": angular.part("real")}


def angle(g: Row) -> Cotangents:
    """Of real numbers it is constant; 0 at 0."""
    x = g["input"]
    if not x.is_complex:
        return {}
    square = x.part("real") ** 2 + x.part("imag") ** 2
    return {"input": g.d / square.eq(0).where(1, square) * (1j * x)}


def sgn(g: Row) -> Cotangents:
    """The part of the cotangent across the direction of x; 0 at 0."""
    x, y = g["input"], g.out
    if not x.is_complex:
        return {}
    size = x.part("abs")
    across = g.d - (g.d * y.conj()).part("real") * y
    return {"input": size.eq(0).where(0, across / size.eq(0).where(1, size))}


def view_as_real(g: Row) -> Cotangents:
    d = g.d
    shapes = d.both(lambda s: s[:-1])
    dtype = g["input"].dtype
    return {"input": d.tape.op("view_as_complex", dtype=dtype, **shapes, input=d)}


def view_as_complex(g: Row) -> Cotangents:
    d = g.d
    shapes = d.both(lambda s: (*s, 2))
    dtype = g["input"].dtype
    return {"input": d.tape.op("view_as_real", dtype=dtype, **shapes, input=d)}


VJP: dict[str, Vjp] = {
    "real": through("input"),
    "imag": imag,
    "conj": conj,
    "conj_physical": conj,
    "complex": make_complex,
    "polar": polar,
    "angle": angle,
    "sgn": sgn,
    "view_as_real": view_as_real,
    "view_as_real_copy": view_as_real,
    "view_as_complex": view_as_complex,
    "view_as_complex_copy": view_as_complex,
}
