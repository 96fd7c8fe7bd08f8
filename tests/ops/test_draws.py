"""Torch's CPU random numbers in NumPy: the facts that `setup` rests on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from luxgen.ops import draws
from luxgen.ops.types import Array

SEEDS = (0, 1, 12345, 2**32 - 1, 2**40 + 3, -1)


def bits(seed: int) -> np.random.RandomState:
    return np.random.RandomState(seed % 2**32)


def ulps(ours: Array, theirs: Array) -> float:
    """The largest difference in last places, of numbers of 1 and more."""
    spacing = np.spacing(np.maximum(np.abs(theirs), theirs.dtype.type(1)))
    return float((np.abs(ours - theirs) / spacing).max())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("low, high", [(0, 1), (-0.1, 0.3), (-1e-3, 1e-3), (5, 5.001)])
def test_uniform_is_bit_exact(seed: int, low: float, high: float) -> None:
    for n in (0, 1, 7, 1000):
        torch.manual_seed(seed)
        single = torch.empty(n).uniform_(low, high).numpy()
        double = torch.empty(n, dtype=torch.float64).uniform_(low, high).numpy()
        stream = bits(seed)
        np.testing.assert_array_equal(
            draws.draw_uniform(stream, (n,), low, high), single, strict=True
        )
        np.testing.assert_array_equal(
            draws.draw_uniform64(stream, (n,), low, high), double, strict=True
        )


@pytest.mark.parametrize("n", [16, 17, 31, 32, 1000, 4099])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normals_of_a_block(n: int, dtype: str) -> None:
    stream, double = bits(3), dtype == "float64"
    torch.manual_seed(3)
    for mean, std in ((0.0, 1.0), (0.5, 2.0)):
        theirs = torch.empty(n, dtype=getattr(torch, dtype)).normal_(mean, std).numpy()
        ours = draws.draw_normal(stream, (n,), mean=mean, std=std, double=double)
        assert ours.dtype == dtype
        assert ulps(ours, theirs) <= 4 * std


def test_few_normals_come_in_pairs_across_calls() -> None:
    stream = bits(5)
    spare: list[float] = []
    torch.manual_seed(5)
    for n in (1, 3, 15, 2, 4, 1, 1, 7, 0, 5):
        ours = draws.draw_few_normals(stream, spare, (n,), mean=0.1, std=0.3)
        theirs = torch.empty(n).normal_(0.1, 0.3).numpy()
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=2e-7, atol=1e-8)
    strided = torch.empty(40, 10)[:, :5].normal_().numpy()
    ours = draws.draw_few_normals(stream, spare, (40, 5))
    np.testing.assert_allclose(ours, strided, rtol=2e-7, atol=1e-8)
    double = torch.empty(3, dtype=torch.float64).normal_().numpy()
    ours = draws.draw_few_normals(stream, spare, (3,), double=True)
    np.testing.assert_allclose(ours, double, rtol=1e-15)


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (
            lambda b: draws.draw_integers(b, (50,), 3, 10),
            lambda: torch.randint(3, 10, (50,)),
        ),
        (
            lambda b: draws.draw_integers(b, (50,), -5, 2**28 - 6),
            lambda: torch.randint(-5, 2**28 - 6, (50,)),
        ),
        (
            lambda b: draws.draw_integers(b, (50,), 0, 2**28, wide=True),
            lambda: torch.randint(0, 2**28, (50,)),
        ),
        (
            lambda b: draws.draw_integers(b, (50,), 0, 2**40, wide=True),
            lambda: torch.randint(0, 2**40, (50,)),
        ),
        (lambda b: draws.draw_permutation(b, 0), lambda: torch.randperm(0)),
        (lambda b: draws.draw_permutation(b, 1), lambda: torch.randperm(1)),
        (lambda b: draws.draw_permutation(b, 700), lambda: torch.randperm(700)),
        (
            lambda b: draws.draw_unit(b, (90,)) < 0.3,
            lambda: torch.bernoulli(torch.full((90,), 0.3)).bool(),
        ),
    ],
)
def test_integers_permutations_and_masks(
    ours: Callable[[np.random.RandomState], Array],
    theirs: Callable[[], torch.Tensor],
) -> None:
    for seed in SEEDS:
        torch.manual_seed(seed)
        expected = (theirs(), torch.rand(3))
        stream = bits(seed)
        np.testing.assert_array_equal(ours(stream), expected[0].numpy(), strict=True)
        after = draws.draw_uniform(stream, (3,), 0, 1)
        np.testing.assert_array_equal(after, expected[1].numpy())


@pytest.mark.parametrize("n, std", [(5, 1.0), (200, 1.0), (200, 3.0)])
def test_truncated_normals_are_drawn_again(n: int, std: float) -> None:
    torch.manual_seed(11)
    theirs = torch.nn.init.trunc_normal_(torch.empty(n), std=std).numpy()
    after = torch.rand(3).numpy()
    stream = bits(11)
    spare: list[float] | None = [] if n < 16 else None
    ours = draws.draw_truncated(stream, (n,), -2.0, 2.0, std=std, spare=spare)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_array_equal(draws.draw_uniform(stream, (3,), 0, 1), after)


def test_skipped_words_advance_the_stream() -> None:
    n = (1 << 20) + 5
    torch.manual_seed(2)
    torch.rand(n)
    stream = bits(2)
    draws.skip_words(stream, n)
    np.testing.assert_array_equal(
        draws.draw_uniform(stream, (4,), 0, 1), torch.rand(4).numpy()
    )


def test_a_generator_draws_the_same_distributions() -> None:
    rng, n = np.random.default_rng(0), 200_000
    uniform = draws.draw_uniform(rng, (n,), -2.0, 6.0)
    assert abs(uniform.mean() - 2) < 0.03 and abs(uniform.std() - 8 / 12**0.5) < 0.02
    spare: list[float] = []
    for x in (
        draws.draw_normal(rng, (n,), mean=1.0, std=2.0),
        draws.draw_few_normals(rng, spare, (n,), mean=1.0, std=2.0),
    ):
        assert abs(x.mean() - 1) < 0.03 and abs(x.std() - 2) < 0.02
    whole = draws.draw_integers(rng, (n,), 0, 10)
    assert np.bincount(whole, minlength=10).min() > n / 10 * 0.97
    assert sorted(draws.draw_permutation(rng, 50).tolist()) == list(range(50))
