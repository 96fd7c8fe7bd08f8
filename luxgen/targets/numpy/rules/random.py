"""Dropout and random numbers: STATEFUL rows give (result, new state)."""

from __future__ import annotations

import numpy as np

from luxgen.targets.numpy.rules.forms import stateful
from luxgen.targets.numpy.rules.op import Op, Refused, Rule
from luxgen.targets.numpy.rules.promotion import kind, np_dtype

MODE = ("training", "train", "generator")


def switched_off(op: Op) -> str:
    """Dropout without a state: the identity outside training and for p = 0."""
    default = not op.name.endswith("alpha_dropout")  # F.alpha_dropout is off by default
    training = op.const("training", op.const("train", default))
    if not training or op.const("p", 0.5) == 0:
        return "input"
    raise Refused(f"{op.name} in training needs a random state", "use nn.Dropout")


def dropout(op: Op) -> str:
    return stateful(op, "dropout", *MODE)


def by_channel(name: str, unbatched: int | None = None) -> Rule:
    """Rule: one draw for each (N, C), or for each C of an input of `unbatched` dims."""

    def rule(op: Op) -> str:
        text = stateful(op, name, *MODE)
        if op.ndim("input") == unbatched:
            return f"{text[:-1]}, axes=1)"
        return f"{text[:-1]}, axes=2)" if name == "alpha_dropout" else text

    return rule


def drawn(name: str, *parameters: str, **defaults: float) -> Rule:
    """Rule: draws of the distribution `name` in the shape of input or of size."""

    def rule(op: Op) -> str:
        values = []
        for parameter in parameters:
            if parameter == "from":  # no name that a template could use
                values.append(repr(op.const("from", defaults["from_"])))
            else:
                default = defaults.get(parameter)
                values.append(parameter if op.has(parameter) else repr(default))
        return draw(op, name, *values)

    return rule


def draw(op: Op, name: str, *values: str) -> str:
    """`name(state, *values, shape, dtype)`, less the dtype where it's the default."""
    if "input" in op.args:
        shape = "input.shape"
    elif "size" in op.args:
        shape = "size"
        size = op.args["size"]
        op.args["size"] = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    else:
        shape = "()"
    parts = ["state", *values, shape]
    usual = "int64" if name == "randint" else "float32"
    if op.out_dtype != usual:
        parts.append(np_dtype(op.out_dtype))
    return f"{name}({', '.join(parts)})"


def normal(op: Op) -> str:
    """torch.normal of tensors or numbers, and Tensor.normal_."""
    mean = "mean" if op.has("mean") else "0.0"
    std = "std" if op.has("std") else "1.0"
    if op.is_tensor("mean") and op.is_tensor("std"):
        shape = "np.broadcast_shapes(mean.shape, std.shape)"
    elif op.is_tensor("mean") or op.is_tensor("std"):
        shape = "mean.shape" if op.is_tensor("mean") else "std.shape"
    else:
        return draw(op, "normal", mean, std)
    dtype = "" if op.out_dtype == "float32" else f", {np_dtype(op.out_dtype)}"
    return f"normal(state, {mean}, {std}, {shape}{dtype})"


def bernoulli(op: Op) -> str:
    """torch.bernoulli(input) takes probabilities; with p, input gives the shape."""
    return draw(op, "bernoulli", "p" if op.has("p") else "input")


def randint(op: Op) -> str:
    low = "low" if op.has("low") else "0"
    return draw(op, "randint", low, "high")


def random(op: Op) -> str:
    """Tensor.random_(from, to); by default up to what the dtype holds exactly."""
    if op.has("to"):
        high = "to"
    elif kind(op.out_dtype) == 2:
        high = repr(2 ** (np.finfo(op.out_dtype).nmant + 1) + 1)
    else:
        high = repr(np.iinfo(op.out_dtype).max + 1 if kind(op.out_dtype) else 2)
    return draw(op, "randint", repr(op.const("from", 0) or 0), high)


def randperm(op: Op) -> str:
    usual = op.out_dtype == "int64"
    return f"randperm(state, n{'' if usual else ', ' + np_dtype(op.out_dtype)})"


def of_tensor(name: str, *drop: str) -> Rule:
    """Rule: the helper `name` of the op's tensors and options."""
    return lambda op: stateful(op, name, "generator", *drop)


def rrelu(op: Op) -> str:
    return stateful(op, "rrelu", *MODE)


CHANNELS = {
    "dropout1d": by_channel("feature_dropout", unbatched=2),
    "dropout2d": by_channel("feature_dropout"),
    "dropout3d": by_channel("feature_dropout", unbatched=4),
    "feature_dropout": by_channel("feature_dropout"),
    "feature_alpha_dropout": by_channel("alpha_dropout"),
}

RULES: dict[str, Rule] = {
    **dict.fromkeys((*CHANNELS, "dropout", "alpha_dropout"), switched_off),
}

STATEFUL: dict[str, Rule] = {
    **CHANNELS,
    "dropout": dropout,
    "alpha_dropout": lambda op: stateful(op, "alpha_dropout", *MODE),
    "rrelu": rrelu,
    "rand": drawn("rand"),
    "rand_like": drawn("rand"),
    "randn": drawn("randn"),
    "randn_like": drawn("randn"),
    "randint": randint,
    "randint_like": randint,
    "randperm": randperm,
    "random": random,
    "uniform": drawn("uniform", "from", "to", from_=0.0, to=1.0),
    "normal": normal,
    "log_normal": drawn("log_normal", "mean", "std", mean=1.0, std=2.0),
    "exponential": drawn("exponential", "lambd", lambd=1.0),
    "cauchy": drawn("cauchy", "median", "sigma", median=0.0, sigma=1.0),
    "geometric": drawn("geometric", "p"),
    "bernoulli": bernoulli,
    "poisson": of_tensor("poisson"),
    "binomial": of_tensor("binomial"),
    "standard_gamma": of_tensor("standard_gamma"),
    "_standard_gamma": of_tensor("standard_gamma"),
    "_sample_dirichlet": of_tensor("dirichlet"),
    "multinomial": of_tensor("multinomial"),
    "gumbel_softmax": of_tensor("gumbel_softmax", "eps"),
}
