"""Connectionist temporal classification."""

import numpy as np

from luxgen.ops.loss import reduced
from luxgen.ops.types import Array


def ctc_loss(
    log_probs: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    *,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Array:
    """-log of the summed probability of all alignments, log_probs (T, N, C).

    targets are (N, S), or the concatenated labels of the batch. The mean divides each
    loss by its target length. Alignments run over blank, label, blank, ..., blank.
    """
    batch, longest = log_probs.shape[1], int(target_lengths.max(initial=0))
    used = np.arange(longest) < target_lengths[:, None]
    labels = np.full((batch, 2 * longest + 1), blank)
    labels[:, 1::2][used] = targets if targets.ndim == 1 else targets[:, :longest][used]
    skips = np.zeros(labels.shape, bool)  # past the blank between unequal labels
    skips[:, 1:2] = True
    skips[:, 3::2] = labels[:, 3::2] != labels[:, 1:-2:2]

    impossible = log_probs.dtype.type(-np.inf)
    alpha = np.full((batch, 2 * longest + 3), impossible)  # two cells before the first
    final = alpha.copy()
    alpha[:, 1], final[:, 2] = 0, 0
    for t, log_p in enumerate(log_probs):
        skip = np.where(skips, alpha[:, :-2], impossible)
        ways = np.logaddexp(np.logaddexp(alpha[:, 2:], alpha[:, 1:-1]), skip)
        alpha[:, 1] = impossible
        alpha[:, 2:] = ways + np.take_along_axis(log_p, labels, axis=1)
        final[input_lengths == t + 1] = alpha[input_lengths == t + 1]
    end = 2 * target_lengths[:, None] + np.array([1, 2])  # last label, last blank
    loss = -np.logaddexp.reduce(np.take_along_axis(final, end, axis=1), axis=1)
    if zero_infinity:
        loss = np.where(loss == np.inf, np.zeros_like(loss), loss)
    if reduction == "mean":
        loss = loss / np.maximum(target_lengths, 1).astype(loss.dtype)
    return reduced(loss, reduction=reduction)
