"""Optimisers: torch.optim's update rules as pure functions of trees of arrays.

    opt_state = adam_init(ps)
    ps, opt_state = adam(ps, d_ps, opt_state, lr=1e-3)

`d_ps` is the gradient, a tree like `ps`. A None in it, for a leaf or for a whole
layer, freezes these parameters: torch.optim skips those without a gradient.
Generated modules have all that follows the imports, as it is.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from luxgen.ops.types import Array


def sgd(
    ps: Any,
    d_ps: Any,
    opt_state: Any = (),
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
) -> tuple[Any, Any]:
    """torch.optim.SGD without momentum; its state is ()."""
    d_ps = with_decay(d_ps, ps, weight_decay)
    return tree_map(lambda p, d: p - lr * d, ps, d_ps), opt_state


class MomentumState(NamedTuple):
    """Trees like `ps`."""

    step: Any  # how often each leaf was updated
    velocity: Any


def momentum_init(ps: Any) -> MomentumState:
    return MomentumState(tree_map(lambda _: 0, ps), tree_map(np.zeros_like, ps))


def momentum(
    ps: Any,
    d_ps: Any,
    opt_state: MomentumState,
    *,
    lr: float = 1e-3,
    momentum: float = 0.9,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> tuple[Any, MomentumState]:
    """torch.optim.SGD with momentum; the first gradient isn't dampened."""
    if momentum <= 0 or (nesterov and dampening != 0):
        raise ValueError("momentum must be positive, and dampening 0 with nesterov")
    d_ps = with_decay(d_ps, ps, weight_decay)

    def faster(v: Array, d: Array, n: Array) -> Array:
        return momentum * v + (1 - dampening if n else 1.0) * d

    def update(p: Array, d: Array, v: Array) -> Array:
        return p - lr * (d + momentum * v if nesterov else v)

    velocity = tree_map(faster, opt_state.velocity, d_ps, opt_state.step)
    step = tree_map(lambda n, _: n + 1, opt_state.step, d_ps)
    return tree_map(update, ps, d_ps, velocity), MomentumState(step, velocity)


class AdamState(NamedTuple):
    """Trees like `ps`."""

    step: Any  # how often each leaf was updated
    mean: Any  # running mean of the gradients
    square: Any  # running mean of their squares


def adam_init(ps: Any) -> AdamState:
    zeros = tree_map(np.zeros_like, ps)
    return AdamState(tree_map(lambda _: 0, ps), mean=zeros, square=zeros)


def adam(
    ps: Any,
    d_ps: Any,
    opt_state: AdamState,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> tuple[Any, AdamState]:
    """torch.optim.Adam; weight_decay adds to the gradient."""
    b1, b2 = betas
    d_ps = with_decay(d_ps, ps, weight_decay)
    step = tree_map(lambda n, _: n + 1, opt_state.step, d_ps)
    mean = tree_map(lambda m, d: m + (1 - b1) * (d - m), opt_state.mean, d_ps)
    square = tree_map(lambda v, d: b2 * v + (1 - b2) * d * d, opt_state.square, d_ps)

    def update(p: Array, _: Array, n: Array, m: Array, v: Array) -> Array:
        rate = lr / (1 - b1 ** int(n))
        scale = np.sqrt(v) / (1 - b2 ** int(n)) ** 0.5 + eps
        moved: Array = p - rate * m / scale
        return moved

    return tree_map(update, ps, d_ps, step, mean, square), AdamState(step, mean, square)


def adamw(
    ps: Any,
    d_ps: Any,
    opt_state: AdamState,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
) -> tuple[Any, AdamState]:
    """torch.optim.AdamW: Adam, and weights that decay apart from the gradient."""
    ps = tree_map(lambda p, _: p * (1 - lr * weight_decay), ps, d_ps)
    return adam(ps, d_ps, opt_state, lr=lr, betas=betas, eps=eps)


def with_decay(d_ps: Any, ps: Any, weight_decay: float) -> Any:
    if weight_decay == 0:
        return d_ps
    return tree_map(lambda d, p: d + weight_decay * p, d_ps, ps)


def tree_map(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """`f` of each leaf of `tree` and its partners; kept where one of them is None."""
    if tree is None or any(other is None for other in rest):
        return tree
    if isinstance(tree, tuple):
        parts = [tree_map(f, *nodes) for nodes in zip(tree, *rest, strict=True)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    if np.iscomplexobj(tree):  # two real parameters each, as torch has it
        real = f(tree.real, *(np.real(other) for other in rest))
        imag = f(tree.imag, *(np.imag(other) for other in rest))
        return np.asarray(real + 1j * imag, tree.dtype)
    return np.asarray(f(tree, *rest), tree.dtype)
