"""Rules of tensors as matrices, and of condition numbers."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Rule


def tensorsolve(op: Op) -> str:
    """NumPy's axes count from the front."""
    dims = op.const("dims")
    if dims is None:
        return "np.linalg.tensorsolve(input, other)"
    axes = tuple(dim % op.ndim("input") for dim in dims)
    return f"np.linalg.tensorsolve(input, other, {axes})"


RULES: dict[str, Rule] = {
    "linalg_tensorinv": lambda op: (
        "np.linalg.tensorinv(input, ind)"
        if op.has("ind")
        else "np.linalg.tensorinv(input)"
    ),
    "linalg_tensorsolve": tensorsolve,
    "linalg_cond": lambda op: (
        "np.linalg.cond(input, p)" if op.has("p") else "np.linalg.cond(input)"
    ),
}
