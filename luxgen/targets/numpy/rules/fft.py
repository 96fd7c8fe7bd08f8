"""Rules of torch.fft, stft and istft; names are aten's ("fft_rfft").

NumPy before 2 transforms in double precision, so the result is cast to torch's dtype.
"""

from __future__ import annotations

from dataclasses import replace

from luxgen.ir.values import Arg
from luxgen.targets.numpy.rules.op import Op, Refused, Rule, helper

# np.fft's norm for the transform the other way round; "" for its default.
OTHER_NORM = {"backward": "forward", "forward": "", "ortho": "ortho"}


def one(function: str) -> Rule:
    """Transforms along one axis: n, dim, norm."""

    def rule(op: Op) -> str:
        options = {"n": "n", "axis": "dim", "norm": "norm"}
        given = [f", {key}={name}" for key, name in options.items() if op.has(name)]
        return _cast(op, f"np.fft.{function}(input{''.join(given)})")

    return rule


def several(function: str, default: tuple[int, ...] | None) -> Rule:
    """Transforms along several axes: s, dim, norm; `default` is torch's `dim`."""

    def rule(op: Op) -> str:
        norm = ", norm=norm" if op.has("norm") else ""
        return _cast(op, f"np.fft.{function}(input{_axes(op, default)}{norm})")

    return rule


def hermitian(function: str, default: tuple[int, ...] | None) -> Rule:
    """hfftn by irfftn, ihfftn by rfftn: conjugated, scaled the other way round."""

    def rule(op: Op) -> str:
        norm = OTHER_NORM[op.const("norm", "backward") or "backward"]
        options = _axes(op, default, short=False) + (f", norm={norm!r}" if norm else "")
        if function.startswith("i"):
            x = "input.conj()" if op.dtype("input").startswith("complex") else "input"
            return _cast(op, f"np.fft.{function}({x}{options})")
        return _cast(op, f"np.fft.{function}(input{options}).conj()")

    return rule


def _axes(op: Op, default: tuple[int, ...] | None, *, short: bool = True) -> str:
    """`s` and `axes` of np.fft; `short`: its function has torch's default axes."""
    sizes = op.args.get("s")
    axes = op.const("dim", default)
    if axes is None and sizes is not None:
        axes = tuple(range(-_length(sizes), 0))
    text = ""
    if sizes is not None:
        text += f", {_sizes(sizes, axes)}"
    if axes is not None and not (short and default == axes == (-2, -1)):
        text += f", axes={(axes,) if isinstance(axes, int) else tuple(axes)}"
    return text


def _length(sizes: Arg) -> int:
    return len(sizes) if isinstance(sizes, (tuple, list)) else 1


def _sizes(sizes: Arg, axes: tuple[int, ...]) -> str:
    """`s`, in which torch's -1 leaves the axis as it is."""
    if -1 not in sizes:
        return "s"
    own = [
        f"input.shape[{axis}]" if size == -1 else f"s[{k}]"
        for k, (size, axis) in enumerate(zip(sizes, axes, strict=True))
    ]
    return f"({', '.join(own)},)"


def _cast(op: Op, text: str) -> str:
    if op.out_dtype in ("float32", "complex64"):
        return f"{text}.astype(np.{op.out_dtype}, copy=False)"
    return text


def shift(function: str) -> Rule:
    def rule(op: Op) -> str:
        axes = ", dim" if op.has("dim") else ""
        return f"np.fft.{function}(input{axes})"

    return rule


def frequencies(function: str) -> Rule:
    def rule(op: Op) -> str:
        d = ", d" if op.has("d") else ""
        return f"np.fft.{function}(n{d}).astype(np.{op.out_dtype})"

    return rule


def stft(op: Op) -> str:
    if not op.out_dtype.startswith("complex"):
        raise Refused("stft with return_complex=False", "use torch.view_as_real")
    if op.const("pad_mode", "reflect") not in ("reflect", "constant"):
        raise Refused(f"stft with pad_mode {op.const('pad_mode')!r}", "use reflect")
    if op.const("align_to_window") is not None:
        raise Refused("stft with align_to_window", "use center=True")
    return _short_time(op, half=not op.dtype("input").startswith("complex"))


def istft(op: Op) -> str:
    return _short_time(op, half=op.shape("input")[-2] != op.const("n_fft"))


def _short_time(op: Op, half: bool) -> str:
    """`half`: whether the spectrum is one-sided if the call doesn't say."""
    given = op.const("onesided")
    onesided = half if given is None else given
    unused = ("return_complex",) if op.name == "stft" else ()
    args = {
        name: value
        for name, value in op.args.items()
        if value is not None and name not in (*unused, "align_to_window", "onesided")
    }
    text = helper(replace(op, args=args))
    return text if onesided else f"{text[:-1]}, onesided=False)"


RULES: dict[str, Rule] = {
    **{
        f"fft_{name}": one(name)
        for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
    },
    **{
        f"fft_{name}": several(name, (-2, -1))
        for name in ("fft2", "ifft2", "rfft2", "irfft2")
    },
    **{
        f"fft_{name}": several(name, None)
        for name in ("fftn", "ifftn", "rfftn", "irfftn")
    },
    "fft_hfft2": hermitian("irfftn", (-2, -1)),
    "fft_hfftn": hermitian("irfftn", None),
    "fft_ihfft2": hermitian("rfftn", (-2, -1)),
    "fft_ihfftn": hermitian("rfftn", None),
    "fft_fftshift": shift("fftshift"),
    "fft_ifftshift": shift("ifftshift"),
    "fft_fftfreq": frequencies("fftfreq"),
    "fft_rfftfreq": frequencies("rfftfreq"),
    "stft": stft,
    "istft": istft,
}
