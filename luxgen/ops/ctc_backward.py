"""Backward pass of connectionist temporal classification."""

import numpy as np

from luxgen.ops.types import Array


def ctc_loss_backward(
    d: Array,
    log_probs: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    *,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Array:
    """Of log_probs (T, N, C): their probabilities less those of the alignments.

    As torch's, it is the cotangent of log-probabilities that a log_softmax made.
    """
    length, batch, _ = log_probs.shape
    labels, skips = ctc_labels(targets, target_lengths, blank=blank)
    samples = np.arange(batch)[:, None]
    emitted = log_probs[:, samples, labels]
    alpha = ctc_forward(emitted, skips)
    last = np.maximum(input_lengths, 1) - 1
    end = 2 * target_lengths[:, None] - np.array([0, 1])  # last blank, last label
    beta = ctc_backward(emitted, skips, end, last)
    at_end = alpha[last[:, None], samples, end]
    at_end[:, 1][target_lengths == 0] = -np.inf
    loss = -np.logaddexp.reduce(at_end, axis=1)

    if reduction == "mean":
        d = d / (np.maximum(target_lengths, 1) * max(batch, 1)).astype(loss.dtype)
    used = np.arange(length)[:, None] < input_lengths
    if zero_infinity:
        used = used & (loss != np.inf)
    else:  # no alignment: NaN, as in torch
        d = np.where(loss == np.inf, np.nan, d)
    with np.errstate(invalid="ignore"):  # inf - inf where there is no alignment
        visits = np.exp(alpha + beta - emitted + loss[:, None])
    d_x: Array = np.exp(log_probs)
    steps = np.arange(length)[:, None, None]
    np.subtract.at(d_x, (steps, samples, labels), visits)
    d_x *= np.broadcast_to(d, batch)[:, None]
    return np.where(used[..., None], d_x, np.zeros_like(d_x))


def ctc_labels(
    targets: Array, target_lengths: Array, *, blank: int = 0
) -> tuple[Array, Array]:
    """blank, label, blank, ..., blank of each sample; where its blank may be skipped.

    targets are (N, S), or the concatenated labels of the batch.
    """
    longest = int(target_lengths.max(initial=0))
    used = np.arange(longest) < target_lengths[:, None]
    labels = np.full((len(target_lengths), 2 * longest + 1), blank)
    labels[:, 1::2][used] = targets if targets.ndim == 1 else targets[:, :longest][used]
    skips = np.zeros(labels.shape, bool)
    skips[:, 1:2] = True
    skips[:, 3::2] = labels[:, 3::2] != labels[:, 1:-2:2]
    return labels, skips


def ctc_forward(emitted: Array, skips: Array) -> Array:
    """Log-probability of being at each label after each step (T, N, S)."""
    impossible = emitted.dtype.type(-np.inf)
    alpha = np.empty_like(emitted)
    here = np.full((skips.shape[0], skips.shape[1] + 2), impossible)
    here[:, 1] = 0  # before the first label
    for t, log_p in enumerate(emitted):
        skip = np.where(skips, here[:, :-2], impossible)
        ways = np.logaddexp(np.logaddexp(here[:, 2:], here[:, 1:-1]), skip)
        here[:, 1] = impossible
        here[:, 2:] = ways + log_p
        alpha[t] = here[:, 2:]
    return alpha


def ctc_backward(emitted: Array, skips: Array, end: Array, last: Array) -> Array:
    """Log-probability of the steps from each on to `last`, where `end` is reached."""
    impossible = emitted.dtype.type(-np.inf)
    beta = np.empty_like(emitted)
    here = np.full((skips.shape[0], skips.shape[1] + 2), impossible)
    skips = np.pad(skips, ((0, 0), (0, 2)))[:, 2:]
    final = np.full(skips.shape, impossible)
    np.put_along_axis(final, np.maximum(end, 0), emitted.dtype.type(0), axis=1)
    for t in range(len(emitted) - 1, -1, -1):
        skip = np.where(skips, here[:, 2:], impossible)
        ways = np.logaddexp(np.logaddexp(here[:, :-2], here[:, 1:-1]), skip)
        ways = np.where((last == t)[:, None], final, ways)
        here[:, :-2] = ways + emitted[t]
        beta[t] = here[:, :-2]
    return beta
