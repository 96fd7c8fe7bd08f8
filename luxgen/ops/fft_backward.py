"""Adjoints of real and short-time Fourier transforms, of the cotangent d."""

from typing import Any

import numpy as np

from luxgen.ops.fft import add_frames, stft_frames, stft_window
from luxgen.ops.types import Array


def rfft_backward(
    d: Array, s: tuple[int, ...], dim: tuple[int, ...], *, norm: Any = "backward"
) -> Array:
    """Adjoint of rfftn to real sizes `s`; irfftn counts frequencies in between twice."""
    half = np.moveaxis(np.array(d), dim[-1], -1)
    half[..., 1 : (s[-1] + 1) // 2] *= 0.5
    y = np.fft.irfftn(np.moveaxis(half, -1, dim[-1]), s, dim, norm=norm)
    return y.astype(d.real.dtype, copy=False)


def irfft_backward(
    d: Array, *, dim: tuple[int, ...] = (-1,), norm: Any = "backward"
) -> Array:
    """Adjoint of irfftn, which counted the frequencies in between twice."""
    y = np.fft.rfftn(d, axes=dim, norm=norm)
    np.moveaxis(y, dim[-1], -1)[..., 1 : (d.shape[dim[-1]] + 1) // 2] *= 2
    return y.astype(np.result_type(d.dtype, np.complex64), copy=False)


def frames_of_spectra(
    d: Array, n_fft: int, *, real: bool, normalized: bool, onesided: bool
) -> Array:
    """Adjoint of the transforms of frames: (..., frames, n_fft)."""
    spectra = d.swapaxes(-1, -2)
    if onesided:
        frames = rfft_backward(spectra, (n_fft,), (-1,), norm="forward")
    else:
        frames = np.fft.ifft(spectra, norm="forward").astype(d.dtype, copy=False)
        frames = frames.real if real else frames
    return frames * frames.dtype.type(n_fft**-0.5) if normalized else frames


def stft_backward(
    d: Array,
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
    """Of the signal x (..., T), from d (..., frequencies, frames)."""
    hop = n_fft // 4 if hop_length is None else hop_length
    real = x.dtype.kind == "f"
    frames = frames_of_spectra(
        d, n_fft, real=real, normalized=normalized, onesided=onesided
    )
    y = add_frames(frames * stft_window(n_fft, win_length, window).conj(), hop)
    edge, size = n_fft // 2 if center else 0, x.shape[-1]
    rest = size + 2 * edge - y.shape[-1]
    y = np.pad(y, [(0, 0)] * (y.ndim - 1) + [(0, rest)])
    inner = np.array(y[..., edge : edge + size])
    if center and pad_mode == "reflect":
        inner[..., 1 : edge + 1] += y[..., :edge][..., ::-1]
        inner[..., size - 1 - edge : size - 1] += y[..., size + edge :][..., ::-1]
    return inner.reshape(x.shape)


def stft_window_backward(
    d: Array,
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
    """Of the window: what the frames of x share."""
    shares = frames_of_spectra(
        d, n_fft, real=False, normalized=normalized, onesided=onesided
    )
    frames = stft_frames(x, n_fft, hop_length, center=center, pad_mode=pad_mode)
    return own_window(shares * frames.conj(), n_fft, win_length, window)


def own_window(
    shares: Array, n_fft: int, win_length: int | None, window: Array | None
) -> Array:
    """The sum over all frames, without the zeros around a shorter window."""
    if window is not None and window.dtype.kind == "f":
        shares = shares.real.astype(window.dtype, copy=False)
    y: Array = shares.reshape(-1, n_fft).sum(axis=0)
    size = win_length or n_fft
    left = (n_fft - size) // 2
    return y[left : left + size]


def istft_backward(
    d: Array,
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
    """Of the spectra x (..., frequencies, frames), from d (..., T)."""
    taper = stft_window(n_fft, win_length, window)
    weight = frame_weight(taper, n_fft, hop_length, x.shape[-1])
    start = n_fft // 2 if center else 0
    frames = placed_frames(d, weight, start, n_fft, hop_length)
    frames = frames * taper.conj()
    if return_complex:
        spectra = np.fft.fft(frames, norm="forward").astype(x.dtype, copy=False)
    else:
        spectra = irfft_backward(frames.real, norm="forward")
        if not onesided:  # torch reads one side of any spectrum of real signals
            rest = n_fft - spectra.shape[-1]
            spectra = np.pad(spectra, [(0, 0)] * (spectra.ndim - 1) + [(0, rest)])
    if normalized:
        spectra *= n_fft**0.5
    return spectra.swapaxes(-1, -2)


def frame_weight(taper: Array, n_fft: int, hop_length: int | None, count: int) -> Array:
    """The squared windows of `count` frames, summed where they overlap."""
    hop = n_fft // 4 if hop_length is None else hop_length
    return add_frames(np.broadcast_to(taper**2, (count, n_fft)), hop)


def placed_frames(
    d: Array, weight: Array, start: int, n_fft: int, hop_length: int | None
) -> Array:
    """Frames of d / weight, with zeros where d, which begins at `start`, has none."""
    hop = n_fft // 4 if hop_length is None else hop_length
    stop = min(start + d.shape[-1], len(weight))
    y = np.zeros((*d.shape[:-1], len(weight)), d.dtype)
    y[..., start:stop] = d[..., : stop - start] / weight[start:stop].conj()
    return np.lib.stride_tricks.sliding_window_view(y, n_fft, axis=-1)[..., ::hop, :]


def istft_window_backward(
    d: Array,
    x: Array,
    y: Array,
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
    """Of the window, which weighs frames and, squared, what their sum is divided by."""
    taper = stft_window(n_fft, win_length, window)
    weight = frame_weight(taper, n_fft, hop_length, x.shape[-1])
    start = n_fft // 2 if center else 0
    spectra = x.swapaxes(-1, -2)
    if return_complex:
        frames: Array = np.fft.ifft(spectra, n_fft)
    else:
        frames = np.fft.irfft(spectra[..., : n_fft // 2 + 1], n_fft)
    if normalized:
        frames *= n_fft**0.5
    shares = placed_frames(d, weight, start, n_fft, hop_length)
    norms = placed_frames(d * y.conj(), weight, start, n_fft, hop_length)
    total = shares * frames.conj() - 2 * taper.conj() * norms
    return own_window(total, n_fft, win_length, window)
