"""VJP rows of Fourier transforms: each is linear, its adjoint the inverse's relative.

The adjoint scales by what the transform itself does: of norm "backward" it is the
inverse of norm "forward".
"""

from __future__ import annotations

from typing import Any

from luxgen.passes.vjp.joining import seen
from luxgen.passes.vjp.row import Cotangents, Row, Vjp
from luxgen.passes.vjp.terms import Term

ADJOINT_NORM = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def norm_of(g: Row) -> str:
    return str(g.const("norm") or "backward")


def adjoint_norm(g: Row) -> dict[str, str]:
    """The option `norm` of the adjoint, if it isn't the default."""
    return _norm(ADJOINT_NORM[norm_of(g)])


def dims_of(g: Row, default: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """The dims transformed; None for all."""
    dims = g.const("dim", default)
    if dims is None and g.has("s"):
        sizes = g.arg("s")
        dims = range(-len(sizes) if isinstance(sizes, (tuple, list)) else -1, 0)
    return (dims,) if isinstance(dims, int) else dims and tuple(dims)


def fitted(g: Row, d: Term) -> Term:
    """`d` cut or filled up to the input's sizes, if the transform changed them."""
    if not g.has("n") and not g.has("s"):
        return d
    x = g["input"]
    return g.tape.op("fit", like=x, dtype=d.dtype, input=d, other=x)


def full(inverse: str, default: tuple[int, ...] | None = None) -> Vjp:
    """Complex to complex; what flows to a real input is the real part."""

    def row(g: Row) -> Cotangents:
        options: dict[str, Any] = adjoint_norm(g)
        dims = dims_of(g, default)
        if dims not in (None, default):
            options["dim"] = dims
        return {"input": fitted(g, g.tape.op(inverse, like=g.d, input=g.d, **options))}

    return row


def along(inverse: str) -> Vjp:
    """One dim: the last, or `dim`."""

    def row(g: Row) -> Cotangents:
        options: dict[str, Any] = adjoint_norm(g)
        if g.has("dim"):
            options["dim"] = g.const("dim")
        return {"input": fitted(g, g.tape.op(inverse, like=g.d, input=g.d, **options))}

    return row


def real_dims(g: Row, default: tuple[int, ...] | None) -> tuple[int, ...]:
    dims = dims_of(g, default)
    return tuple(range(-g["input"].ndim, 0)) if dims is None else dims


def from_real(default: tuple[int, ...] | None = (-1,)) -> Vjp:
    """rfft and its relatives."""
    return lambda g: {"input": rfft_back(g, g.d, default, ADJOINT_NORM[norm_of(g)])}


def to_real(default: tuple[int, ...] | None = (-1,)) -> Vjp:
    """irfft and its relatives."""
    return lambda g: {"input": irfft_back(g, default, ADJOINT_NORM[norm_of(g)])}


def rfft_back(g: Row, d: Term, default: tuple[int, ...] | None, norm: str) -> Term:
    x, dims = g["input"], real_dims(g, default)
    given = g.arg("n") if g.has("n") else g.arg("s")
    sizes: Any = given if isinstance(given, (tuple, list)) else (given,)
    if given is None:
        sizes = (-1,) * len(dims)
    pairs = zip(sizes, dims, strict=True)
    s = tuple(x.size(dim) if size in (-1, None) else size for size, dim in pairs)
    args = {"d": d, "s": s, "dim": dims} | _norm(norm)
    shapes = []
    for k, shape in enumerate((x.shape, x.witness)):
        sized = list(shape)
        for size, dim in zip(s, dims, strict=True):
            sized[dim] = seen(g.tape.term(size))[k]
        shapes.append(tuple(sized))
    dtype = {"complex64": "float32", "complex128": "float64"}[d.dtype]
    back = g.tape.op(
        "rfft_backward", dtype=dtype, shape=shapes[0], witness=shapes[1], **args
    )
    return fitted(g, back)


def _norm(norm: str) -> dict[str, str]:
    return {} if norm == "backward" else {"norm": norm}


def irfft_back(g: Row, default: tuple[int, ...] | None, norm: str) -> Term:
    dims = real_dims(g, default)
    dtype = {"float32": "complex64", "float64": "complex128"}[g.d.dtype]
    halved = {
        name: tuple(
            n // 2 + 1 if k == dims[-1] % len(shape) else n for k, n in enumerate(shape)
        )
        for name, shape in (("shape", g.d.shape), ("witness", g.d.witness))
    }
    options: dict[str, Any] = {"dim": dims} if dims != (-1,) else {}
    back = g.tape.op(
        "irfft_backward", dtype=dtype, shape=halved["shape"],
        witness=halved["witness"], d=g.d, **options, **_norm(norm),
    )  # fmt: skip
    return fitted(g, back)


def hermitian_to_real(default: tuple[int, ...] | None = (-1,)) -> Vjp:
    """hfft and its relatives: irfft of the conjugate, scaled the other way round."""
    return lambda g: {"input": irfft_back(g, default, norm_of(g)).conj()}


def hermitian_from_real(default: tuple[int, ...] | None = (-1,)) -> Vjp:
    """ihfft and its relatives: the conjugate of rfft, scaled the other way round."""
    return lambda g: {"input": rfft_back(g, g.d.conj(), default, norm_of(g))}


def shift(inverse: str) -> Vjp:
    def row(g: Row) -> Cotangents:
        dims = {"dim": g.const("dim")} if g.has("dim") else {}
        return {"input": g.tape.op(inverse, like=g.d, input=g.d, **dims)}

    return row


def short_time(g: Row) -> Cotangents:
    """stft and istft: of the signal or spectra, and of the window."""
    x = g["input"]
    args = {"d": g.d, **g.others("align_to_window", "onesided")}
    args = {name: value for name, value in args.items() if value is not None}
    if not onesided(g):
        args["onesided"] = False
    dtype = g.d.dtype
    if g.op.name == "stft":
        args.pop("return_complex", None)
        if not x.is_complex:
            dtype = x.dtype
    elif not g.d.is_complex:
        dtype = x.dtype
    found: Cotangents = {
        "input": g.tape.op(f"{g.op.name}_backward", like=x, dtype=dtype, **args)
    }
    if g.is_tensor("window"):
        window = g["window"]
        if g.op.name == "istft":
            args["y"] = g.out
        found["window"] = g.tape.op(f"{g.op.name}_window_backward", like=window, **args)
    return found


def onesided(g: Row) -> bool:
    """What the call says, or else the signal's kind and the spectrum's size."""
    given = g.const("onesided")
    if given is not None:
        return bool(given)
    x = g["input"]
    if g.op.name == "stft":
        return not x.is_complex
    return x.shape[-2] != int(g.const("n_fft"))


def zero(g: Row) -> Cotangents:
    return {}


VJP: dict[str, Vjp] = {
    "fft_fft": along("fft_ifft"),
    "fft_ifft": along("fft_fft"),
    "fft_fft2": full("fft_ifft2", (-2, -1)),
    "fft_ifft2": full("fft_fft2", (-2, -1)),
    "fft_fftn": full("fft_ifftn"),
    "fft_ifftn": full("fft_fftn"),
    "fft_rfft": from_real(),
    "fft_rfft2": from_real((-2, -1)),
    "fft_rfftn": from_real(None),
    "fft_irfft": to_real(),
    "fft_irfft2": to_real((-2, -1)),
    "fft_irfftn": to_real(None),
    "fft_hfft": hermitian_to_real(),
    "fft_hfft2": hermitian_to_real((-2, -1)),
    "fft_hfftn": hermitian_to_real(None),
    "fft_ihfft": hermitian_from_real(),
    "fft_ihfft2": hermitian_from_real((-2, -1)),
    "fft_ihfftn": hermitian_from_real(None),
    "fft_fftshift": shift("fft_ifftshift"),
    "fft_ifftshift": shift("fft_fftshift"),
    "fft_fftfreq": zero,
    "fft_rfftfreq": zero,
    "stft": short_time,
    "istft": short_time,
}
