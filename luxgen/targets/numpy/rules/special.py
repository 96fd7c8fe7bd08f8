"""Functions of torch.special; the frontend knows some by their aten name too."""

from __future__ import annotations

from luxgen.targets.numpy.rules.forms import pointwise, promoted_tensors, scalar
from luxgen.targets.numpy.rules.op import Op, Rule

NAMES = (
    "erf", "erfc", "erfcx", "erfinv", "ndtr", "log_ndtr", "ndtri", "logit", "xlogy",
    "xlog1py", "entr", "lgamma", "digamma", "zeta", "i0", "i0e", "i1", "i1e",
)  # fmt: skip


def two(name: str) -> Rule:
    """Rule: the helper `name` of input and other, numbers made arrays."""

    def rule(op: Op) -> str:
        text = f"{name}(input, other)"
        for argument in ("input", "other"):
            if not op.is_tensor(argument):
                text = text.replace(argument, f"np.asarray({argument}, DTYPE)")
        other = "other" if op.is_tensor("other") else "input"
        text = text.replace("DTYPE", f"{other}.dtype")
        return scalar(op, promoted_tensors(op, text))

    return rule


TWO = ("xlogy", "xlog1py", "zeta")
RULES: dict[str, Rule] = {
    **{name: pointwise(name) for name in NAMES if name not in TWO},
    **{f"special_{name}": pointwise(name) for name in NAMES if name not in TWO},
    **{name: two(name) for name in TWO},
    **{f"special_{name}": two(name) for name in TWO},
    "expit": pointwise("sigmoid"),
    "gammaln": pointwise("lgamma"),
    "psi": pointwise("digamma"),
    "polygamma": pointwise("polygamma"),
    "special_polygamma": pointwise("polygamma"),
    "mvlgamma": pointwise("mvlgamma"),
    "multigammaln": pointwise("mvlgamma"),
    "special_multigammaln": pointwise("mvlgamma"),
}
