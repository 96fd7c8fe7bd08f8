"""VJP rows of dropout and random numbers, by what their forward drew."""

from __future__ import annotations

from luxgen.passes.vjp.norm import options
from luxgen.passes.vjp.row import Cotangents, Row, Vjp


def dropout(g: Row) -> Cotangents:
    """Without a state it is off: the identity."""
    if g.op.state is None:
        return {"input": g.d}
    alpha = "alpha" in g.op.name
    name = "alpha_dropout_backward" if alpha else "dropout_backward"
    keep = g.save(f"{g.op.name}_saved")
    args = {"d": g.d, "keep": keep, **options(g, "p")}
    return {"input": g.tape.op(name, like=g["input"], **args)}


def gumbel_softmax(g: Row) -> Cotangents:
    """With hard=True the gradient is the softmax's."""
    x = g["logits"]
    y = g.save("gumbel_softmax_saved") if g.const("hard", False) else g.out
    args = {"d": g.d, "y": y, **options(g, "tau", "dim")}
    return {"logits": g.tape.op("gumbel_softmax_backward", like=x, **args)}


def standard_gamma(g: Row) -> Cotangents:
    x = g["input"]
    name = "standard_gamma_backward"
    return {"input": g.tape.op(name, like=x, d=g.d, input=x, draws=g.out)}


def dirichlet(g: Row) -> Cotangents:
    x, draws = g["input"], g.save("dirichlet_saved")
    name = "dirichlet_backward"
    return {"input": g.tape.op(name, like=x, d=g.d, input=x, draws=draws)}


def drawn(g: Row) -> Cotangents:
    """Draws that torch gives no gradient, of their parameters neither."""
    return {}


DRAWS = (
    "rand", "rand_like", "randn", "randn_like", "randint", "randint_like", "randperm",
    "random", "uniform", "normal", "log_normal", "exponential", "cauchy", "geometric",
    "bernoulli", "poisson", "binomial", "multinomial",
)  # fmt: skip
DROPOUTS = (
    "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout",
    "alpha_dropout", "feature_alpha_dropout",
)  # fmt: skip

VJP: dict[str, Vjp] = {
    **dict.fromkeys(DRAWS, drawn),
    **dict.fromkeys(DROPOUTS, dropout),
    "gumbel_softmax": gumbel_softmax,
    "standard_gamma": standard_gamma,
    "_standard_gamma": standard_gamma,
    "_sample_dirichlet": dirichlet,
}
