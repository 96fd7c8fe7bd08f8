"""Ops that only gradients of Fourier transforms use."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import CALL, Rule

RULES: dict[str, Rule] = {
    "rfft_backward": CALL,
    "irfft_backward": CALL,
    "stft_backward": CALL,
    "stft_window_backward": CALL,
    "istft_backward": CALL,
    "istft_window_backward": CALL,
}
