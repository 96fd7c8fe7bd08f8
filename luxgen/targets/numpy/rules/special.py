"""Functions of torch.special, by their names there and in aten (`special_...`)."""

from __future__ import annotations

from luxgen.targets.numpy.rules.forms import pointwise, promoted_tensors, scalar
from luxgen.targets.numpy.rules.op import Op, Rule

OF_ONE = (
    "erf", "erfc", "erfcx", "erfinv", "ndtr", "log_ndtr", "ndtri", "logit", "entr",
    "lgamma", "digamma", "i0", "i0e", "i1", "i1e", "bessel_j0", "bessel_j1",
    "bessel_y0", "bessel_y1", "modified_bessel_k0", "modified_bessel_k1",
    "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "spherical_bessel_j0",
)  # fmt: skip
OF_TWO = ("xlogy", "xlog1py", "zeta", "gammainc", "gammaincc")
POLYNOMIALS = (
    "chebyshev_polynomial_t", "chebyshev_polynomial_u", "chebyshev_polynomial_v",
    "chebyshev_polynomial_w", "hermite_polynomial_h", "hermite_polynomial_he",
    "laguerre_polynomial_l", "legendre_polynomial_p",
)  # fmt: skip
OTHER_NAMES = {
    "expit": "sigmoid",
    "gammaln": "lgamma",
    "psi": "digamma",
    "modified_bessel_i0": "i0",
    "modified_bessel_i1": "i1",
}


def of_two(name: str, first: str, second: str, x: str = "{}") -> Rule:
    """Rule: the helper `name` of `x` of the first argument and the second.

    A number among them becomes an array.
    """

    def rule(op: Op) -> str:
        parts = {first: first, second: second}
        for number, tensor in ((first, second), (second, first)):
            if not op.is_tensor(number):
                parts[number] = f"np.asarray({number}, {tensor}.dtype)"
        text = f"{name}({x.format(parts[first])}, {parts[second]})"
        return scalar(op, promoted_tensors(op, text))

    return rule


ROWS: dict[str, Rule] = {
    **{name: pointwise(name) for name in OF_ONE},
    **{name: of_two(name, "input", "other") for name in OF_TWO},
    **{name: of_two(name, "x", "n") for name in POLYNOMIALS},
    **{f"shifted_{n}": of_two(n, "x", "n", "2 * {} - 1") for n in POLYNOMIALS[:4]},
    **{name: pointwise(helper) for name, helper in OTHER_NAMES.items()},
    "igamma": of_two("gammainc", "input", "other"),
    "igammac": of_two("gammaincc", "input", "other"),
    "polygamma": pointwise("polygamma"),
    "mvlgamma": pointwise("mvlgamma"),
    "multigammaln": pointwise("mvlgamma"),
}
RULES: dict[str, Rule] = ROWS | {f"special_{name}": rule for name, rule in ROWS.items()}
