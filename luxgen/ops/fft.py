"""Short-time Fourier transforms."""

import math

import numpy as np

from luxgen.ops.types import Array


def stft_window(n_fft: int, win_length: int | None, window: Array | None) -> Array:
    """Ones, or the `window`, in the middle of n_fft zeros."""
    own = np.ones(win_length or n_fft, np.float32) if window is None else window
    left = (n_fft - len(own)) // 2
    return np.pad(own, (left, n_fft - len(own) - left))


def stft_frames(
    x: Array,
    n_fft: int,
    hop_length: int | None = None,
    *,
    center: bool = True,
    pad_mode: str = "reflect",
) -> Array:
    """Views of x (..., T) that start a hop apart: (..., frames, n_fft)."""
    hop = n_fft // 4 if hop_length is None else hop_length
    if center:
        padding = [(0, 0)] * (x.ndim - 1) + [(n_fft // 2, n_fft // 2)]
        if pad_mode == "reflect":
            x = np.pad(x, padding, mode="reflect")
        else:
            x = np.pad(x, padding)
    return np.lib.stride_tricks.sliding_window_view(x, n_fft, axis=-1)[..., ::hop, :]


def stft(
    x: Array,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Array | None = None,
    *,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool = True,
) -> Array:
    """Fourier transforms of windows of x (..., T): (..., frequencies, frames)."""
    frames = stft_frames(x, n_fft, hop_length, center=center, pad_mode=pad_mode)
    frames = frames * stft_window(n_fft, win_length, window)
    y = np.fft.rfft(frames) if onesided else np.fft.fft(frames)
    if normalized:
        y *= n_fft**-0.5
    y = y.astype(np.result_type(frames.dtype, np.complex64), copy=False)
    return y.swapaxes(-1, -2)


def istft(
    x: Array,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Array | None = None,
    *,
    center: bool = True,
    normalized: bool = False,
    onesided: bool = True,
    length: int | None = None,
    return_complex: bool = False,
) -> Array:
    """Overlap and add the frames of `stft` x (..., frequencies, frames): (..., T)."""
    hop = n_fft // 4 if hop_length is None else hop_length
    taper = stft_window(n_fft, win_length, window)
    spectra = x.swapaxes(-1, -2)
    frames = np.fft.irfft(spectra, n_fft) if onesided else np.fft.ifft(spectra, n_fft)
    if not return_complex:
        frames = frames.real
    dtype = np.result_type(x.real.dtype, np.complex64 if return_complex else x.real)
    frames = frames.astype(dtype, copy=False) * taper
    if normalized:
        frames *= n_fft**0.5
    y = add_frames(frames, hop)
    weight = add_frames(np.broadcast_to(taper**2, frames.shape[-2:]), hop)
    start = n_fft // 2 if center else 0
    stop = y.shape[-1] - start if length is None else start + length
    y = y[..., start:stop] / weight[start:stop]
    if length is not None:
        y = np.pad(y, [(0, 0)] * (y.ndim - 1) + [(0, length - y.shape[-1])])
    return y


def add_frames(frames: Array, hop: int) -> Array:
    """Sum frames (..., F, N) that start `hop` apart: (..., N + hop (F - 1))."""
    *batch, count, size = frames.shape
    parts = math.ceil(size / hop)
    padding = [(0, 0)] * (frames.ndim - 1) + [(0, parts * hop - size)]
    pieces = np.pad(frames, padding).reshape(*batch, count, parts, hop)
    y = np.zeros((*batch, count + parts - 1, hop), frames.dtype)
    for k in range(parts):
        y[..., k : k + count, :] += pieces[..., k, :]
    y = y.reshape(*batch, (count + parts - 1) * hop)
    return y[..., : size + hop * (count - 1)]
