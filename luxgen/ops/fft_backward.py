"""Adjoints of real and short-time Fourier transforms, of the cotangent d."""

import numpy as np

from luxgen.ops.fft import add_frames, stft_window
from luxgen.ops.types import Array


def rfft_backward(
    d: Array, s: tuple[int, ...], dim: tuple[int, ...], *, norm: str = "backward"
) -> Array:
    """Adjoint of rfftn to real sizes `s`; irfftn counts frequencies in between twice."""
    half = np.moveaxis(np.array(d), dim[-1], -1)
    half[..., 1 : (s[-1] + 1) // 2] *= 0.5
    y = np.fft.irfftn(np.moveaxis(half, -1, dim[-1]), s, dim, norm=norm)
    return y.astype(d.real.dtype, copy=False)


def irfft_backward(
    d: Array, *, dim: tuple[int, ...] = (-1,), norm: str = "backward"
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
    hop = n_fft // 4 if hop_length is None else hop_length
    if center:
        padding = [(0, 0)] * (x.ndim - 1) + [(n_fft // 2, n_fft // 2)]
        if pad_mode == "reflect":
            x = np.pad(x, padding, mode="reflect")
        else:
            x = np.pad(x, padding)
    shares = frames_of_spectra(
        d, n_fft, real=False, normalized=normalized, onesided=onesided
    )
    frames = np.lib.stride_tricks.sliding_window_view(x, n_fft, axis=-1)[..., ::hop, :]
    return own_window(shares * frames.conj(), n_fft, win_length)


def own_window(shares: Array, n_fft: int, win_length: int | None) -> Array:
    """The sum over all frames, without the zeros around a shorter window."""
    y = shares.reshape(-1, n_fft).sum(axis=0)
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
) -> Array:
    """Of the spectra x (..., frequencies, frames), from d (..., T)."""
    hop = n_fft // 4 if hop_length is None else hop_length
    taper = stft_window(n_fft, win_length, window)
    weight = add_frames(np.broadcast_to(taper**2, (x.shape[-1], n_fft)), hop)
    start = n_fft // 2 if center else 0
    stop = len(weight) - start if length is None else min(start + length, len(weight))
    y = np.zeros((*d.shape[:-1], len(weight)), d.dtype)
    y[..., start:stop] = d[..., : stop - start] / weight[start:stop]
    frames = np.lib.stride_tricks.sliding_window_view(y, n_fft, axis=-1)[..., ::hop, :]
    frames = frames * taper
    if onesided:
        spectra = irfft_backward(frames.real, norm="forward")
    else:
        spectra = np.fft.fft(frames, norm="forward").astype(x.dtype, copy=False)
    if normalized:
        spectra *= n_fft**0.5
    return spectra.swapaxes(-1, -2)
