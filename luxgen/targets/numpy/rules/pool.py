"""Pooling over windows, adaptive pooling and unpooling."""

from __future__ import annotations

import math

from luxgen.targets.numpy.rules.op import Op, Refused, Rule
from luxgen.targets.numpy.rules.spatial import (
    call,
    constant,
    flag,
    per_axis,
    require_float,
    window,
)


def max_pool(nd: int, *, indices: bool = False) -> Rule:
    def rule(op: Op) -> str:
        kernel, stride = strided(op)
        padding, dilation = window(op, "padding"), window(op, "dilation")
        ceil_mode = str(flag(op, "ceil_mode"))
        if padding not in (None, "0") or ceil_mode == "True":
            require_float(op)  # the padding is -inf
        both = indices or flag(op, "return_indices")
        if not both and dilation in (None, "1"):
            options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
            return call(f"max_pool{nd}d", "input", kernel, **options)
        text = call(
            "max_pool_with_indices",
            "input",
            str(per_axis(op, "kernel_size", nd)),
            stride=None if stride is None else per_axis(op, "stride", nd),
            padding=padding,
            dilation=dilation,
            ceil_mode=ceil_mode,
        )
        return text if both else f"{text}[0]"

    return rule


def avg_pool(nd: int) -> Rule:
    def rule(op: Op) -> str:
        require_float(op)
        kernel, stride = strided(op)
        return call(f"avg_pool{nd}d", "input", kernel, stride=stride, **averaging(op))

    return rule


def averaging(op: Op) -> dict[str, str | None]:
    """Options of an average pooling; padding that isn't there needn't be counted."""
    padding, ceil_mode = window(op, "padding"), flag(op, "ceil_mode")
    plain = padding in (None, "0") and not ceil_mode
    options = {
        "padding": padding,
        "ceil_mode": str(ceil_mode),
        "count_include_pad": str(plain or flag(op, "count_include_pad", default=True)),
    }
    if op.has("divisor_override"):
        options["divisor_override"] = window(op, "divisor_override")
    return options


def strided(op: Op) -> tuple[str, str | None]:
    """The kernel size, and the stride where it differs from that."""
    kernel, stride = window(op, "kernel_size"), window(op, "stride")
    return str(kernel), None if stride == kernel else stride


def lp_pool(nd: int) -> Rule:
    """(sum of x ** p) ** (1 / p), as torch computes it: from the mean."""

    def rule(op: Op) -> str:
        require_float(op)
        kernel, stride = strided(op)
        sizes = op.args["kernel_size"]
        if not constant(sizes):
            raise Refused(f"{op.name}: kernel_size must be constant")
        volume = sizes**nd if isinstance(sizes, int) else math.prod(sizes)
        ceil_mode = str(flag(op, "ceil_mode"))
        mean = call(
            f"avg_pool{nd}d",
            "input ** norm_type",
            kernel,
            stride=stride,
            ceil_mode=ceil_mode,
        )
        return f"({mean} * {volume}) ** (1 / norm_type)"

    return rule


def adaptive_pool(nd: int, reduce: str, *, indices: bool = False) -> Rule:
    """One output per axis is a plain reduction: the usual global pooling."""
    axes = "-1" if nd == 1 else str(tuple(range(-nd, 0)))

    def rule(op: Op) -> str:
        size = str(per_axis(op, "output_size", nd))
        if indices or flag(op, "return_indices"):
            return call("adaptive_max_pool_with_indices", "input", size)
        if size == str((1,) * nd):
            return f"input.{reduce}(axis={axes}, keepdims=True)"
        name = {"mean": "adaptive_avg_pool", "max": "adaptive_max_pool"}[reduce]
        return call(name, "input", size)

    return rule


def max_unpool(nd: int) -> Rule:
    def rule(op: Op) -> str:
        kernel, stride = strided(op)
        size = op.args.get("output_size")
        if isinstance(size, (tuple, list)) and len(size) > nd:
            op.args["output_size"] = tuple(size[-nd:])  # given with batch and channels
        return call(
            "max_unpool",
            "input",
            "indices",
            str(per_axis(op, "kernel_size", nd)),
            stride=None if stride is None else per_axis(op, "stride", nd),
            padding=window(op, "padding"),
            output_size=per_axis(op, "output_size", nd),
        )

    return rule


def fractional(nd: int, *, indices: bool = False) -> Rule:
    """Windows by samples that a step of their own has drawn."""

    def rule(op: Op) -> str:
        samples = "_random_samples" if op.has("_random_samples") else "random_samples"
        size = per_axis(op, "output_size", nd)
        if size is None:
            ratio = op.const("output_ratio")
            ratio = ratio if isinstance(ratio, (tuple, list)) else (ratio,) * nd
            sizes = [f"int(input.shape[{k - nd}] * {ratio[k]!r})" for k in range(nd)]
            size = f"({', '.join(sizes)})"
        kernel = str(per_axis(op, "kernel_size", nd))
        text = call("fractional_max_pool", "input", samples, kernel, size)
        both = indices or op.has("random_samples") or flag(op, "return_indices")
        return text if both else f"{text}[0]"

    return rule


RULES: dict[str, Rule] = {
    **{f"max_pool{n}d": max_pool(n) for n in (1, 2, 3)},
    **{f"max_pool{n}d_with_indices": max_pool(n, indices=True) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": avg_pool(n) for n in (1, 2, 3)},
    **{f"lp_pool{n}d": lp_pool(n) for n in (1, 2, 3)},
    **{f"max_unpool{n}d": max_unpool(n) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": adaptive_pool(n, "mean") for n in (1, 2, 3)},
    **{f"_adaptive_avg_pool{n}d": adaptive_pool(n, "mean") for n in (2, 3)},
    **{f"adaptive_max_pool{n}d": adaptive_pool(n, "max") for n in (1, 2, 3)},
    **{
        f"adaptive_max_pool{n}d_with_indices": adaptive_pool(n, "max", indices=True)
        for n in (1, 2, 3)
    },
    **{f"fractional_max_pool{n}d": fractional(n) for n in (2, 3)},
    **{
        f"fractional_max_pool{n}d_with_indices": fractional(n, indices=True)
        for n in (2, 3)
    },
}
