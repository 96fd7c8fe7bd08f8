"""Dropout and random numbers: distributions as torch's, purity, torch's rules."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from luxgen.frontends.bind import bind, dtype_name
from luxgen.ir.values import Value, map_arg
from luxgen.ops.dropout import DropoutState, alpha_dropout, dropout, rrelu
from luxgen.ops.noise import NoiseState, generator, randn
from luxgen.targets.numpy.expression import substitute
from luxgen.targets.numpy.rules import template
from luxgen.targets.numpy.rules.op import Op, Refused
from tests.ops.opcheck import check, evaluate, lowered

pytestmark = [
    pytest.mark.filterwarnings("error::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:dropout2d. Received a 3D input"),
]
N = 20_000


def draw(
    function: Callable[..., Any], state: Any, *args: Any, **kwargs: Any
) -> tuple[Any, Any, torch.Tensor]:
    """Our value and new state by the STATEFUL row, and torch's result."""
    call = bind(function, args, kwargs)
    scope: dict[str, Any] = {"state": state}

    def visit(item: Any) -> Any:
        if not isinstance(item, torch.Tensor):
            return item
        name = f"v{len(scope)}"
        scope[name] = item.numpy().copy()
        return Value(dtype_name(item.dtype), tuple(item.shape), names=(name,))

    bound = {name: map_arg(visit, value) for name, value in call.args.items()}
    result = function(*args, **kwargs)
    out = Value(dtype_name(result.dtype), tuple(result.shape))
    op = Op(call.name, bound, (out,), call.overload)
    tree = substitute(
        template(op, stateful=True), bound, lambda v: ast.Name(v.names[0])
    )
    value, new = evaluate(ast.unparse(tree), scope)
    return value, new, result


x = torch.empty(N)
SAMPLERS: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = [
    (torch.rand, (N,), {}),
    (torch.rand, ((N, 1),), {"dtype": torch.float64}),
    (torch.randn, (N // 2, 2), {}),
    (torch.rand_like, (x,), {}),
    (torch.randn_like, (x,), {"dtype": torch.float64}),
    (torch.randint, (7, (N,)), {}),
    (torch.randint, (-3, 9, (N,)), {"dtype": torch.float32}),
    (torch.randint_like, (x, 5), {}),
    (torch.randint_like, (x, 2, 5), {}),
    (torch.normal, (torch.full((N,), 2.0), 3.0), {}),
    (torch.normal, (2.0, torch.full((N,), 0.5)), {}),
    (torch.normal, (torch.full((N, 1), 2.0), torch.full((2,), 3.0)), {}),
    (torch.normal, (1.0, 2.0, (N,)), {}),
    (torch.Tensor.normal_, (torch.empty(N), 2.0, 3.0), {}),
    (torch.Tensor.normal_, (torch.empty(N),), {}),
    (torch.Tensor.uniform_, (torch.empty(N),), {}),
    (torch.Tensor.uniform_, (torch.empty(N), -2.0, 5.0), {}),
    (torch.Tensor.exponential_, (torch.empty(N), 2.5), {}),
    (torch.Tensor.log_normal_, (torch.empty(N), 0.1, 0.3), {}),
    (torch.Tensor.geometric_, (torch.empty(N), 0.3), {}),
    (torch.Tensor.random_, (torch.empty(N), 3, 11), {}),
    (torch.Tensor.random_, (torch.empty(N), 6), {}),
    (torch.Tensor.bernoulli_, (torch.empty(N), 0.3), {}),
    (torch.bernoulli, (torch.full((N,), 0.3),), {}),
    (torch.bernoulli, (torch.empty(N), 0.8), {}),
    (torch.poisson, (torch.full((N,), 4.0),), {}),
    (torch.binomial, (torch.full((N,), 10.0), torch.full((N,), 0.3)), {}),
    (torch._standard_gamma, (torch.full((N,), 2.0),), {}),
    (torch._sample_dirichlet, (torch.tensor([[1.0, 2.0, 5.0]]).repeat(N, 1),), {}),
    (torch.multinomial, (torch.tensor([1.0, 3.0, 0.0, 6.0]), N, True), {}),
    (torch.multinomial, (torch.rand(N, 5) * torch.arange(5), 2), {}),
    (F.gumbel_softmax, (torch.tensor([[0.0, 1.0, 2.0]]).repeat(N, 1),), {"tau": 0.7}),
    (F.gumbel_softmax, (torch.randn(N, 3),), {"hard": True, "dim": 1}),
    (F.dropout, (torch.ones(N), 0.3), {}),
    (F.dropout, (torch.ones(N),), {}),
    (torch.dropout, (torch.ones(N), 0.3, True), {}),
    (F.alpha_dropout, (torch.randn(N), 0.3, True), {}),
    (F.feature_alpha_dropout, (torch.randn(N // 4, 2, 4), 0.3, True), {}),
    (F.rrelu, (-torch.ones(N), 0.1, 0.5, True), {}),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), SAMPLERS)
def test_samples_are_distributed_as_torchs(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """dtype and shape equal; columns' means and spreads agree within their noise."""
    torch.manual_seed(0)
    state = DropoutState(5) if "dropout" in str(function) else NoiseState(5)
    state = DropoutState(5) if function is F.rrelu else state
    ours, new, theirs = draw(function, state, *args, **kwargs)
    assert new == state._replace(step=1)
    assert ours.dtype == np.dtype(dtype_name(theirs.dtype))
    assert ours.shape == tuple(theirs.shape)
    ours, expected = ours.astype(np.float64), theirs.double().numpy()
    assert (ours.min() >= 0) == (expected.min() >= 0)
    if len(np.unique(expected)) < 9:
        np.testing.assert_array_equal(np.unique(ours), np.unique(expected))
    for moment in (ours, expected):
        moment -= expected.mean(axis=0)
    noise = 6 * expected.std(axis=0) * (2 / len(expected)) ** 0.5
    assert np.all(np.abs(ours.mean(axis=0)) <= noise + 1e-12)
    spread = np.abs(np.square(ours).mean(axis=0) - np.square(expected).mean(axis=0))
    noise = 6 * np.square(expected).std(axis=0) * (2 / len(expected)) ** 0.5
    assert np.all(spread <= noise + 1e-12)


def test_cauchy_by_its_quartiles() -> None:
    ours, _, _ = draw(torch.Tensor.cauchy_, NoiseState(1), torch.empty(N), 2.0, 3.0)
    np.testing.assert_allclose(
        np.quantile(ours, [0.25, 0.5, 0.75]), [-1, 2, 5], atol=0.2
    )


def test_randperm() -> None:
    ours, new, _ = draw(torch.randperm, NoiseState(1), 50)
    np.testing.assert_array_equal(np.sort(ours), np.arange(50))
    assert new == NoiseState(1, 1)
    assert ours.dtype == np.int64


def test_random_without_limits() -> None:
    ours, _, _ = draw(torch.Tensor.random_, NoiseState(1), torch.empty(N))
    assert ours.min() >= 0 and 2**23 < ours.max() <= 2**24
    bytes_, _, _ = draw(
        torch.Tensor.random_, NoiseState(1), torch.empty(N, dtype=torch.int8)
    )
    np.testing.assert_array_equal(np.unique(bytes_), np.arange(128))


@pytest.mark.parametrize("shape", [(), (3, 0), (2, 3)])
def test_shapes(shape: tuple[int, ...]) -> None:
    for function in (torch.rand, torch.randn):
        ours, _, _ = draw(function, NoiseState(1), shape)
        assert isinstance(ours, np.ndarray) and ours.shape == shape
    like = torch.zeros(shape)
    for function in (torch.rand_like, torch.bernoulli, torch.poisson):
        ours, _, _ = draw(function, NoiseState(1), like)
        assert np.shape(ours) == shape and ours.dtype == np.float32


def test_multinomial_draws_in_order_without_replacement() -> None:
    """The first draw has the weights' odds; nothing is drawn twice, nor weight 0."""
    weights = torch.tensor([[1.0, 0.0, 3.0, 6.0]]).repeat(N, 1)
    ours, _, _ = draw(torch.multinomial, NoiseState(2), weights, 3)
    np.testing.assert_array_equal(np.sort(ours, axis=1)[0], [0, 2, 3])
    assert (np.sort(ours, axis=1) == [0, 2, 3]).all()
    first = np.bincount(ours[:, 0], minlength=4) / N
    np.testing.assert_allclose(first, [0.1, 0, 0.3, 0.6], atol=0.015)


def test_hard_gumbel_softmax_is_one_hot() -> None:
    logits = torch.randn(5, 4, 3)
    ours, _, _ = draw(F.gumbel_softmax, NoiseState(3), logits, hard=True, dim=1)
    np.testing.assert_array_equal(ours.sum(axis=1), np.ones((5, 3)))
    assert set(np.unique(ours)) == {0, 1}


def test_draws_are_a_pure_function_of_seed_and_step() -> None:
    first, st = randn(NoiseState(7), (1000,))
    again, _ = randn(NoiseState(7), (1000,))
    second, _ = randn(st, (1000,))
    other, _ = randn(NoiseState(8), (1000,))
    np.testing.assert_array_equal(first, again)
    for different in (second, other):
        assert len(np.intersect1d(first, different)) < 5


def test_successive_steps_share_no_numbers() -> None:
    """With the step in the counter's low word they would repeat 99.9 % of them."""
    a, b = (generator(3, step).random(1000, dtype=np.float64) for step in (0, 1))
    assert len(np.intersect1d(a, b)) == 0
    generator(2**63 - 1, 2**40).random()


TRAINING = DropoutState(11)
EVALUATION = DropoutState(11, training=False)


@pytest.mark.parametrize("function", [dropout, alpha_dropout, rrelu])
def test_evaluation_neither_draws_nor_moves_the_state(function: Any) -> None:
    values = np.array([1.0, 2.0, 3.0], np.float32)
    y, st = function(values, EVALUATION)
    np.testing.assert_array_equal(y, values)
    assert st is EVALUATION


@pytest.mark.parametrize(
    "function", [F.dropout, F.dropout1d, F.alpha_dropout, F.feature_alpha_dropout]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_p_of_zero_and_one_are_exact(
    function: Callable[..., Any], dtype: torch.dtype
) -> None:
    values = torch.randn(3, 4, 5, dtype=dtype)
    for p in (0.0, 1.0):
        ours, _, theirs = draw(function, TRAINING, values, p, True)
        np.testing.assert_array_equal(ours, theirs.numpy())
        assert ours.dtype == theirs.numpy().dtype


@pytest.mark.parametrize(
    ("function", "shape", "axes"),
    [
        (F.dropout1d, (4, 6, 5), 2),
        (F.dropout1d, (40, 5), 1),
        (F.dropout2d, (4, 6, 5, 3), 2),
        (F.dropout2d, (4, 6, 5), 2),
        (F.dropout3d, (4, 6, 2, 3, 2), 2),
        (F.dropout3d, (40, 2, 3, 2), 1),
        (F.feature_alpha_dropout, (4, 6, 5), 2),
    ],
)
def test_whole_channels_drop(
    function: Callable[..., Any], shape: tuple[int, ...], axes: int
) -> None:
    """One draw per channel, of each sample where there is a batch, as in torch."""
    ours, _, theirs = draw(function, TRAINING, torch.ones(shape), 0.4, True)
    for y in (ours, theirs.numpy()):
        flat = y.reshape(int(np.prod(shape[:axes])), -1)
        assert (flat == flat[:, :1]).all()
        assert 2 <= len(np.unique(flat[:, 0])) <= 2
    np.testing.assert_allclose(np.unique(ours), np.unique(theirs.numpy()), rtol=1e-6)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    y, _ = alpha_dropout(
        generator(1, 0).standard_normal(N, np.float32), TRAINING, p=0.2
    )
    assert abs(y.mean()) < 0.03
    assert abs(y.std() - 1) < 0.03


def test_inputs_stay_and_dtypes_hold() -> None:
    for dtype in (np.float32, np.float64):
        values = np.ones((3, 4, 5), dtype)
        for function in (dropout, alpha_dropout, rrelu):
            y, _ = function(values, TRAINING)
            assert y.dtype == dtype
        np.testing.assert_array_equal(values, np.ones((3, 4, 5)))


def test_dropout_without_a_state() -> None:
    """Off it is the identity; on, it is refused."""
    values = torch.randn(3, 4, 5)
    for function in (F.dropout, F.dropout1d, F.dropout2d, F.feature_alpha_dropout):
        assert check(function, values, 0.5, False) == "v0"
        assert check(function, values, 0.0, True) == "v0"
        with pytest.raises(Refused, match="random state"):
            lowered(function, (values, 0.5, True), {})
    assert check(F.alpha_dropout, values) == "v0"
    assert check(torch.dropout, values, 0.5, False) == "v0"
    with pytest.raises(Refused, match="random state"):
        lowered(F.dropout, (values,), {})
