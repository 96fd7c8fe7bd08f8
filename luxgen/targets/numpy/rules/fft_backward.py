"""Ops that only gradients of Fourier transforms use."""

from __future__ import annotations

from dataclasses import replace

from luxgen.targets.numpy.rules.op import CALL, Op, Rule, helper


def short_time(op: Op) -> str:
    """One-sided as the transform itself was, if its call didn't say."""
    onesided = op.const("onesided")
    if onesided is None:
        if op.name.startswith("stft"):
            onesided = not op.dtype("input").startswith("complex")
        else:
            onesided = op.shape("input")[-2] != op.const("n_fft")
    args = {name: value for name, value in op.args.items() if name != "onesided"}
    text = helper(replace(op, args=args))
    return text if onesided else f"{text[:-1]}, onesided=False)"


RULES: dict[str, Rule] = {
    "rfft_backward": CALL,
    "irfft_backward": CALL,
    "stft_backward": short_time,
    "stft_window_backward": short_time,
    "istft_backward": short_time,
    "istft_window_backward": short_time,
}
