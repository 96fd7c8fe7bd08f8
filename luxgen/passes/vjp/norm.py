"""VJP rows of normalisations; layers with running statistics hand on their state."""

from __future__ import annotations

from typing import Any

from luxgen.ir.values import Node, Value
from luxgen.passes.vjp.row import Cotangents, NoGradient, Row, Vjp
from luxgen.passes.vjp.terms import Term

TREE = "tree"  # dtype of a cotangent of several leaves


def options(g: Row, *names: str) -> dict[str, Any]:
    """The options in `names` that the op was given."""
    return {name: g.arg(name) for name in names if g.has(name)}


def over_last(g: Row) -> dict[str, Any]:
    """How many dims a layer_norm normalises, and its eps."""
    dims = len(g.const("normalized_shape"))
    return {"dims": dims, **options(g, "eps")}


def vector(like: Term, dim: int) -> Value:
    """A value for each entry along one dim of `like`."""
    return Value(like.dtype, (like.shape[dim],), (like.witness[dim],))


def same(like: Term) -> Value:
    return Value(like.dtype, like.shape, like.witness)


def present(g: Row, **found: Term) -> Cotangents:
    """The cotangents of those arguments that the op has."""
    return {name: term for name, term in found.items() if g.has(name)}


def layer_norm(g: Row) -> Cotangents:
    """The bias' cotangent is d, summed."""
    x = g["input"]
    args = {"d": g.d, "input": x, **over_last(g)}
    if not g.has("weight"):
        d_x = g.tape.op("layer_norm_backward", like=x, **args)
        return present(g, input=d_x, bias=g.d)
    args["weight"] = weight = g["weight"]
    outs = (same(x), same(weight))
    d_x, d_weight = g.tape.emit("layer_norm_affine_backward", args, outs)
    return present(g, input=d_x, weight=d_weight, bias=g.d)


def rms_norm(g: Row) -> Cotangents:
    x, d = g["input"], g.d
    args = {"input": x.conj(), **over_last(g)}
    if not g.has("weight"):
        return {"input": g.tape.op("rms_norm_backward", like=x, d=d, **args)}
    plain = g.tape.op("rms_norm", like=x, input=x, **g.others("input", "weight"))
    d_y = d * g["weight"].conj()
    return {
        "input": g.tape.op("rms_norm_backward", like=x, d=d_y, **args),
        "weight": d * plain.conj(),
    }


def per_channel(g: Row, name: str, args: dict[str, Any]) -> Cotangents:
    """By an op that gives the cotangents of input, weight and bias."""
    x = g["input"]
    if g.has("weight"):
        args["weight"] = g["weight"]
    outs = (same(x), vector(x, 1), vector(x, 1))
    given = {"d": g.d, "input": x, **args, **options(g, "eps")}
    d_x, d_weight, d_bias = g.tape.emit(name, given, outs)
    return present(g, input=d_x, weight=d_weight, bias=d_bias)


def group_norm(g: Row) -> Cotangents:
    groups = g.arg("num_groups", g.arg("group"))
    return per_channel(g, "group_norm_backward", {"num_groups": groups})


def native_group_norm(g: Row) -> Cotangents:
    """Through its means and reciprocal deviations, too."""
    found = group_norm(g)
    if all(d is None for d in g.given[1:]):
        return found
    x, (_, mean, rstd) = g["input"], g.outs
    args: dict[str, Any] = {"d_mean": g.d_of(1), "d_rstd": g.d_of(2), "input": x}
    through = g.tape.op(
        "group_statistics_backward", like=x, **args, mean=mean, rstd=rstd
    )
    return found | {"input": found["input"] + through}


def instance_norm(g: Row) -> Cotangents:
    if g.const("use_input_stats", True):
        return per_channel(g, "instance_norm_backward", {})
    return per_channel(
        g, "batch_norm_backward", options(g, "running_mean", "running_var")
    )


def batch_norm(g: Row) -> Cotangents:
    """The running statistics are constants, as in torch."""
    if g["input"].ndim == 1:  # empty
        return {"input": g.d}
    args = options(g, "running_mean", "running_var", "training")
    return per_channel(g, "batch_norm_backward", args)


def no_gradient(g: Row) -> Cotangents:
    """Statistics have no gradient."""
    return {}


def norm_layer(g: Row) -> Cotangents:
    """nn.BatchNorm and nn.InstanceNorm, by the state that the forward read."""
    x, ps, name = g["input"], g.arg("ps"), f"{g.op.name}_backward"
    given = {"d": g.d, "input": x, "ps": ps, **options(g, "eps", "unbatched")}
    given["st"] = g.save(f"{g.op.name}_saved")
    if not isinstance(ps, Node):
        return {"input": g.tape.op(name, like=x, **given)}
    d_x, d_ps = g.tape.emit(name, given, (same(x), Value(TREE)))
    return {"input": d_x, "ps": d_ps}


def local_response_norm(g: Row) -> Cotangents:
    x = g["input"]
    args = options(g, "size", "alpha", "beta", "k")
    name = "local_response_norm_backward"
    return {"input": g.tape.op(name, like=x, d=g.d, input=x, **args)}


def weight_norm(g: Row) -> Cotangents:
    v, length = g["v"], g["g"]
    args = {"d": g.d, "v": v, "g": length, **options(g, "dim")}
    outs = (same(v), same(length))
    d_v, d_g = g.tape.emit("weight_norm_backward", args, outs)
    return {"v": d_v, "g": d_g}


def norm_except_dim(g: Row) -> Cotangents:
    v = g["v"]
    args = {"d": g.d, "v": v, **options(g, "pow", "dim")}
    return {"v": g.tape.op("norm_except_dim_backward", like=v, **args)}


def normalize(g: Row) -> Cotangents:
    x, p, dim = g["input"], g.const("p", 2.0), g.const("dim", 1)
    if x.is_complex:
        raise NoGradient("F.normalize of complex numbers", "divide by its norm")
    if isinstance(dim, (tuple, list)):
        dim = tuple(dim) if len(dim) > 1 else dim[0]
        if isinstance(dim, tuple) and p != 2:
            reason = "F.normalize over several dims with p != 2"
            raise NoGradient(reason, "flatten the dims")
    args = {"d": g.d, "input": x, **options(g, "p", "eps"), "dim": dim}
    return {"input": g.tape.op("normalize_backward", like=x, **args)}


VJP: dict[str, Vjp] = {
    "layer_norm": layer_norm,
    "native_layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "group_norm": group_norm,
    "native_group_norm": native_group_norm,
    "instance_norm": instance_norm,
    "batch_norm": batch_norm,
    "batch_norm_update": no_gradient,
    "instance_norm_update": no_gradient,
    "batch_norm_layer": norm_layer,
    "instance_norm_layer": norm_layer,
    "local_response_norm": local_response_norm,
    "_weight_norm": weight_norm,
    "norm_except_dim": norm_except_dim,
    "normalize": normalize,
}
