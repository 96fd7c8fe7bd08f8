"""Update rules against torch.optim: same gradients, fifty steps, all options."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from luxgen.ops import optimiser
from luxgen.ops.optimiser import adam, adam_init, momentum_init, sgd, tree_map

STEPS = 50


class Affine(NamedTuple):
    weight: Any
    bias: Any


class Params(NamedTuple):
    """As generated modules have it: layers, a tuple with gaps, a number."""

    fc: Affine
    blocks: tuple[Affine, None, Affine]
    temperature: Any


SHAPES = Params(
    Affine((4, 3), (4,)), (Affine((2, 4), None), None, Affine((1, 2), (1,))), ()
)

Steps = Iterable[tuple[Params, dict[int, bool]]]


def tree_of(shapes: Any, make: Callable[[tuple[int, ...]], Any]) -> Any:
    """A tree like `shapes`, whose leaves are its plain tuples of numbers."""
    if shapes is None:
        return None
    if all(isinstance(n, int) for n in shapes):
        return make(shapes)
    parts = [tree_of(part, make) for part in shapes]
    return type(shapes)(*parts) if hasattr(shapes, "_fields") else tuple(parts)


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, tuple):
        return [leaf for part in tree for leaf in leaves(part)]
    return [] if tree is None else [tree]


def draws(dtype: str) -> Callable[[tuple[int, ...]], np.ndarray]:
    """Normal numbers of all magnitudes that gradients have in practice."""
    rng = np.random.default_rng(0)

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        x = rng.standard_normal(shape) * 10.0 ** rng.uniform(-6, 1)
        if dtype.startswith("complex"):
            x = x + 1j * rng.standard_normal(shape)
        return np.asarray(x, dtype)

    return draw


def torch_steps(
    kind: type[torch.optim.Optimizer],
    ps: Any,
    gradients: list[Any],
    options: dict[str, Any],
    *,
    widen: bool,
) -> list[list[Tensor]]:
    """Every parameter after every step of torch.optim."""

    def tensor(array: np.ndarray) -> Tensor:
        made = torch.from_numpy(array.copy())
        return (
            made.to(torch.promote_types(made.dtype, torch.float64)) if widen else made
        )

    params = [torch.nn.Parameter(tensor(p)) for p in leaves(ps)]
    optimizer = kind(params, **options)
    found = []
    for d_ps in gradients:
        for p, d in zip(params, aligned(d_ps, ps), strict=True):
            p.grad = None if d is None else tensor(d)
        optimizer.step()
        found.append([p.detach().clone() for p in params])
    return found


def aligned(d_ps: Any, ps: Any) -> list[Any]:
    """The leaves of `d_ps`, None where those of `ps` have no partner."""
    if isinstance(ps, tuple):
        partners = d_ps or [None] * len(ps)
        pairs = zip(partners, ps, strict=True)
        return [leaf for d, p in pairs for leaf in aligned(d, p)]
    return [] if ps is None else [d_ps]


def check(
    name: str, options: dict[str, Any], *, dtype: str = "float32", freeze: Any = None
) -> None:
    """All parameters after each of fifty steps, with torch in float64 as judge."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}.get(
        name, torch.optim.SGD
    )
    init: Callable[[Any], Any] = {
        "sgd": lambda _: (),
        "momentum": momentum_init,
    }.get(name, adam_init)
    draw = draws(dtype)
    ps = tree_of(SHAPES, draw)
    gradients = [tree_of(SHAPES, draw) for _ in range(STEPS)]
    if freeze is not None:
        gradients = [freeze(k, d_ps) for k, d_ps in enumerate(gradients)]
    torch_options = dict(options)
    if name == "momentum":
        torch_options.setdefault("momentum", 0.9)
    low = torch_steps(kind, ps, gradients, torch_options, widen=False)
    high = torch_steps(kind, ps, gradients, torch_options, widen=True)
    state = init(ps)
    scales = np.zeros(len(low[0]))
    for k, d_ps in enumerate(gradients):
        before = copy.deepcopy((ps, state, d_ps))
        new, new_state = getattr(optimiser, name)(ps, d_ps, state, **options)
        for old, kept in zip(leaves(before), leaves((ps, state, d_ps)), strict=True):
            np.testing.assert_array_equal(old, kept)  # nothing changes in place
        ps, state = new, new_state
        tops = [float(exact.abs().max()) for exact in high[k]]
        scales = np.maximum(scales, tops)
        for ours, *theirs, scale in zip(
            leaves(ps), low[k], high[k], scales, strict=True
        ):
            compare(ours, *theirs, scale, k)
    assert isinstance(ps, Params) and isinstance(ps.blocks[0], Affine)
    assert ps.blocks[1] is None and ps.blocks[0].bias is None


def compare(
    ours: np.ndarray, low: Tensor, high: Tensor, scale: float, step: int
) -> None:
    """Error at most twice torch's own, and a rounding of the largest value per step."""
    expected, exact = low.numpy(), high.numpy()
    assert ours.dtype == expected.dtype and ours.shape == expected.shape
    limit = 2 * np.abs(expected - exact).max()
    limit += (4 + step) * np.finfo(expected.dtype).eps * scale
    assert np.abs(ours - exact).max() <= limit, f"step {step}"


CASES: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {}),
    ("sgd", {"lr": 0.3}),
    ("sgd", {"lr": 0.1, "weight_decay": 0.2}),
    ("momentum", {}),
    ("momentum", {"lr": 0.1, "momentum": 0.5}),
    ("momentum", {"lr": 0.1, "dampening": 0.4}),
    ("momentum", {"lr": 0.05, "nesterov": True}),
    ("momentum", {"lr": 0.05, "weight_decay": 0.1}),
    ("momentum", {"lr": 0.05, "weight_decay": 0.1, "nesterov": True}),
    ("momentum", {"momentum": 0.7, "dampening": 1.0, "weight_decay": 0.01}),
    ("adam", {}),
    ("adam", {"lr": 0.1}),
    ("adam", {"lr": 0.1, "weight_decay": 0.3}),
    ("adam", {"betas": (0.5, 0.9), "eps": 1e-3}),
    ("adam", {"betas": (0.0, 0.99), "eps": 1e-12}),
    ("adamw", {}),
    ("adamw", {"lr": 0.1, "weight_decay": 0.3}),
    ("adamw", {"lr": 0.1, "weight_decay": 0.0}),
    ("adamw", {"betas": (0.8, 0.95), "eps": 1e-6}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, options", CASES)
def test_steps(name: str, options: dict[str, Any], dtype: str) -> None:
    check(name, options, dtype=dtype)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw"])
def test_complex_parameters(name: str) -> None:
    """torch.optim takes a complex number for two real ones."""
    check(name, {"lr": 0.1, "weight_decay": 0.1}, dtype="complex64")


def some_frozen(step: int, d_ps: Params) -> Params:
    """One leaf never trained, a layer only from step 10 on, another only before 20."""
    d_ps = d_ps._replace(fc=d_ps.fc._replace(bias=None))
    if step < 10:
        d_ps = d_ps._replace(blocks=(None, None, d_ps.blocks[2]))
    return d_ps if step < 20 else d_ps._replace(temperature=None)


@pytest.mark.parametrize(
    "name, options",
    [
        ("sgd", {"weight_decay": 0.1}),
        ("momentum", {"dampening": 0.5, "weight_decay": 0.1}),
        ("adam", {"weight_decay": 0.1}),
        ("adamw", {"weight_decay": 0.1}),
    ],
)
def test_frozen_leaves(name: str, options: dict[str, Any]) -> None:
    """Neither moved nor decayed; a leaf's own step count corrects its bias."""
    check(name, options, freeze=some_frozen)


def test_everything_frozen() -> None:
    ps = tree_of(SHAPES, draws("float32"))
    state = adam_init(ps)
    new, new_state = adam(ps, None, state)
    assert leaves(new) == leaves(ps) and leaves(new_state) == leaves(state)


def test_a_learning_rate_of_numpy_keeps_float32() -> None:
    """Schedules give np.float64; the parameters stay what they are."""
    ps = tree_of(SHAPES, draws("float32"))
    for rate in (np.float64(0.1), np.array(0.1)):
        new, _ = adam(ps, ps, adam_init(ps), lr=rate)
        assert {leaf.dtype for leaf in leaves(new)} == {np.dtype("float32")}
        assert isinstance(new.temperature, np.ndarray)
        sgd_new, _ = sgd(ps, ps, lr=rate)
        assert {leaf.dtype for leaf in leaves(sgd_new)} == {np.dtype("float32")}


@pytest.mark.parametrize(
    "options", [{"momentum": 0.0}, {"nesterov": True, "dampening": 0.1}]
)
def test_options_that_torch_refuses_or_ignores(options: dict[str, Any]) -> None:
    ps = tree_of(SHAPES, draws("float32"))
    with pytest.raises(ValueError, match="momentum must be positive"):
        optimiser.momentum(ps, ps, momentum_init(ps), **options)


def test_trees_of_different_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        tree_map(np.add, (np.ones(2), np.ones(2)), (np.ones(2),))
