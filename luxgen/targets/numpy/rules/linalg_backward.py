"""Ops that only gradients of linear algebra use."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import CALL, Rule

RULES: dict[str, Rule] = dict.fromkeys(
    (
        "det_backward",
        "pinv_backward",
        "matrix_power_backward",
        "matrix_exp_backward",
        "matrix_norm_backward",
        "cholesky_backward",
        "qr_backward",
        "svdvals_backward",
        "svd_backward",
        "eigh_backward",
        "eig_backward",
    ),
    CALL,
)
