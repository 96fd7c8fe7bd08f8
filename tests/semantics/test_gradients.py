"""Where gradients are easily wrong: sharing, stopping, repeats, modes, masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import luxgen
from luxgen.errors import UnsupportedError
from tests.semantics.gradients import agree, module_of


def test_tied_weights_have_one_summed_gradient() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(7, 4)
            self.head = nn.Linear(4, 7, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(torch.tanh(self.embed(ids)))

    module = agree(Tied(), torch.tensor([[1, 2, 2], [0, 6, 1]]))
    assert module.NUM_PARAMETERS == 28


def test_a_module_called_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.mlp = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))

        def forward(self, x: Tensor) -> Tensor:
            x = self.fc(torch.tanh(self.fc(x)))
            return self.mlp(x) * self.mlp(x * 2)

    agree(Twice(), torch.randn(3, 4))


class Block(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.fc = nn.Linear(n, n)
        self.scale = nn.Parameter(torch.randn(n))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return x + torch.tanh(self.fc(x)) * self.scale * context


def test_a_rolled_loop_and_what_each_iteration_reads() -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.context = nn.Linear(4, 4)
            self.blocks = nn.ModuleList(Block(4) for _ in range(5))

        def forward(self, x: Tensor) -> Tensor:
            context = self.context(x)
            for block in self.blocks:
                x = block(x, context)
            return x * context

    agree(Deep(), torch.randn(3, 4))


def test_a_block_called_once_per_loop_of_a_loop() -> None:
    class Loops(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(Block(4) for _ in range(3))
            self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(4))

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = x
            for layer in self.layers:
                y = F.gelu(layer(y))
            for _ in range(2):
                for block in self.blocks:
                    x = block(x, y)
            return x, y

    agree(Loops(), torch.randn(3, 4))


def test_part_of_a_container_in_a_loop() -> None:
    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(6))

        def forward(self, x: Tensor) -> Tensor:
            x = self.layers[0](x).sigmoid()
            for layer in self.layers[1:5]:
                x = torch.relu(layer(x))
            return x

    agree(Part(), torch.randn(3, 4))


def test_detach_and_no_grad_stop_gradients() -> None:
    class Stops(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.online, self.target = nn.Linear(4, 4), nn.Linear(4, 4)

        @torch.no_grad()
        def teacher(self, x: Tensor) -> Tensor:
            return self.target(x).tanh()

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                scale = x.norm(dim=-1, keepdim=True)
            y = self.online(x)
            straight = y + (y.round() - y).detach()
            return straight * scale - self.teacher(x) + self.target(x).data * y

    agree(Stops(), torch.randn(3, 4))


def test_a_module_under_no_grad_and_outside_it() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = Block(4)

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                first = self.net(x, x)
            return self.net(x, first)

    agree(Both(), torch.randn(3, 4))


def test_unused_parameters_have_zeros() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(4, 2), nn.Linear(3, 3)
            self.loose = nn.Parameter(torch.randn(5))

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    module = agree(Unused(), torch.randn(3, 4))
    ps, st = module.setup(0)
    *_, dps = module.vjp(np.ones((2, 4), np.float32), ps, st)[2](np.ones((2, 2), "f"))
    assert not dps.loose.any() and not dps.unused.weight.any()


def test_integer_inputs_have_none() -> None:
    class Lookup(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(5, 3, padding_idx=1)

        def forward(self, ids: Tensor, x: Tensor) -> Tensor:
            return self.table(ids) * x

    agree(Lookup(), torch.tensor([1, 4, 4, 0]), torch.randn(4, 3))


def test_batch_norm_differentiates_its_statistics() -> None:
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    for training in (True, False):
        agree(net, torch.randn(3, 2, 6, 6), training=training)


def test_the_pullback_uses_the_mask_that_was_drawn() -> None:
    net = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.Linear(6, 6), nn.Dropout())
    module = module_of(net, torch.randn(4, 6))
    ps, st = module.setup(0)
    st = module.trainmode(st)
    x = np.random.default_rng(0).standard_normal((64, 6), np.float32)
    y, st2, pullback = module.vjp(x, ps, st)
    again, _ = module.apply(x, ps, st)
    np.testing.assert_array_equal(y, again)
    _, dps = pullback(np.ones_like(y))
    d_bias = np.count_nonzero(y, axis=0) * np.float32(2)
    np.testing.assert_allclose(dps.n2.bias, d_bias)
    other, *_ = module.vjp(x, ps, st2)
    assert (y != other).any()


def test_ties_of_pooling_and_reductions() -> None:
    class Ties(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            pooled = F.max_pool2d(x, 2)
            return pooled, x.amax((-1, -2)), x.max(-1).values, x.flatten(1).max()

    x = torch.randint(0, 2, (3, 2, 4, 4)).float()
    agree(Ties(), x)


def test_indexing_with_repeats_adds_up() -> None:
    class Repeats(nn.Module):
        def forward(self, x: Tensor, i: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return x[i], x.index_select(1, i), x.gather(1, i[None].expand(len(x), -1))

    agree(Repeats(), torch.randn(5, 5), torch.tensor([1, 1, 3, 1, 0]))


def test_broadcast_operands_are_summed() -> None:
    class Broadcast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.randn(3, 1))
            self.b = nn.Parameter(torch.randn(()))
            self.c = nn.Parameter(torch.randn(4))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.a + self.b - self.c / (1 + self.a**2)

    agree(Broadcast(), torch.randn(2, 3, 4))


def test_where_that_hides_nan() -> None:
    class Safe(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            safe = torch.where(x > 0, x, torch.ones_like(x))
            return torch.where(x > 0, safe.sqrt(), torch.zeros_like(x))

    agree(Safe(), torch.tensor([[-1.0, 0.0, 4.0], [1.0, -2.0, 9.0]]))


def test_where_that_torch_makes_nan_too() -> None:
    class Unsafe(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x > 0, x.sqrt(), torch.zeros_like(x))

    module = luxgen.transpile(Unsafe(), (torch.rand(2, 3) + 1,), grad=True).load()
    x = np.array([[-1.0, 0.0, 4.0]], np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        _, _, pullback = module.vjp(x, *module.setup(0))
        dx, _ = pullback(np.ones_like(x))
    t = torch.from_numpy(x).requires_grad_()
    (expected,) = torch.autograd.grad(Unsafe()(t).sum(), t)
    np.testing.assert_array_equal(dx, expected.numpy())


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrence_over_time(kind: type[nn.RNNBase]) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = kind(3, 5, num_layers=2, batch_first=True, bidirectional=True)
            self.head = nn.Linear(10, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0])

    agree(Recurrent(), torch.randn(2, 6, 3), training=True)


def test_a_cell_unrolled_by_the_model() -> None:
    class Unrolled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRUCell(3, 4)

        def forward(self, x: Tensor, h: Tensor) -> Tensor:
            for k in range(4):
                h = self.cell(x[:, k], h)
            return h

    agree(Unrolled(), torch.randn(2, 4, 3), torch.randn(2, 4))


def test_attention_with_masks() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: Tensor, padding: Tensor) -> Tensor:
            mask = nn.Transformer.generate_square_subsequent_mask(5)
            return self.attention(
                x, x, x, key_padding_mask=padding, attn_mask=mask < 0, is_causal=False
            )[0]

    padding = torch.zeros(2, 5, dtype=torch.bool)
    padding[1, 3:] = True
    agree(Masked(), torch.randn(2, 5, 8), padding)


def test_branches_on_the_mode() -> None:
    class Modes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.train_head, self.test_head = nn.Linear(4, 2), nn.Linear(4, 2)
            self.shared = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.shared(x))
            if self.training:
                return self.train_head(h) * h.mean()
            return self.test_head(h)

    for training in (True, False):
        agree(Modes(), torch.randn(3, 4), training=training)


def test_children_that_some_blocks_lack() -> None:
    class Residual(nn.Module):
        def __init__(self, n: int, m: int) -> None:
            super().__init__()
            self.fc = nn.Linear(n, m)
            self.skip = nn.Linear(n, m, bias=False) if n != m else None

        def forward(self, x: Tensor) -> Tensor:
            kept = x if self.skip is None else self.skip(x)
            return torch.relu(self.fc(x)) + kept

    net = nn.Sequential(Residual(4, 6), Residual(6, 6), Residual(6, 3), Residual(3, 3))
    agree(net, torch.randn(3, 4))


def test_activation_checkpoints_change_nothing() -> None:
    class Saved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            y = checkpoint(self.fc, x, use_reentrant=True)
            return checkpoint(self.fc, torch.tanh(y), use_reentrant=False)

    agree(Saved(), torch.randn(3, 4))


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: object, d: Tensor) -> Tensor:
        return d * 3


def test_a_custom_function_is_refused() -> None:
    class Custom(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return _Doubled.apply(x)

    assert luxgen.transpile(Custom(), (torch.randn(2, 3),)).report.passed
    with pytest.raises(UnsupportedError, match=r"autograd\.Function") as caught:
        luxgen.transpile(Custom(), (torch.randn(2, 3),), grad=True)
    assert "_Doubled.apply(x)" in str(caught.value)


def test_hooks_on_gradients_are_refused() -> None:
    net = nn.Linear(3, 3)
    net.register_full_backward_hook(lambda m, i, o: None)
    with pytest.raises(UnsupportedError, match="hook"):
        luxgen.transpile(net, (torch.randn(2, 3),), grad=True)


def test_every_place_without_a_gradient_is_named() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            a = torch.special.zeta(x.abs() + 2, x.abs() + 1)
            return a, torch.special.bessel_j0(x)

    with pytest.raises(UnsupportedError) as caught:
        luxgen.transpile(Two(), (torch.randn(2, 3),), grad=True)
    assert "zeta" in str(caught.value) and "bessel_j0" in str(caught.value)


def test_finite_differences_agree() -> None:
    """A second witness: central differences of our own forward in float64."""
    net = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 2))
    module = module_of(net, torch.randn(3, 4))
    ps, st = module.setup(3)
    rng = np.random.default_rng(0)
    vec = module.ravel(ps).astype(np.float64)
    x, dy = rng.standard_normal((3, 4)), rng.standard_normal((3, 2))
    _, _, pullback = module.vjp(x, module.unravel(vec), st)
    dx, dps = pullback(dy)

    def f(v: np.ndarray) -> float:
        return float((module.apply(x, module.unravel(v), st)[0] * dy).sum())

    ours = module.ravel(dps)
    assert ours.dtype == np.float64 and dx.dtype == np.float64
    for k in rng.choice(len(vec), 20, replace=False):
        step = np.zeros_like(vec)
        step[k] = 1e-5
        slope = (f(vec + step) - f(vec - step)) / 2e-5
        np.testing.assert_allclose(ours[k], slope, rtol=1e-6, atol=1e-8)


def test_an_input_that_torch_cant_differentiate() -> None:
    class Loss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Tensor, target: Tensor) -> Tensor:
            return F.soft_margin_loss(self.fc(x), target)

    made = luxgen.transpile(Loss(), (torch.randn(2, 4), torch.ones(2, 3)), grad=True)
    assert made.report.passed


def test_a_result_of_another_structure_in_training_is_refused() -> None:
    class Auxiliary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
            y = self.fc(x)
            return (y, y.tanh()) if self.training else y

    assert luxgen.transpile(Auxiliary(), (torch.randn(2, 4),)).report.passed
    with pytest.raises(UnsupportedError, match="another structure in training"):
        luxgen.transpile(Auxiliary(), (torch.randn(2, 4),), grad=True)


def test_windows_by_strides() -> None:
    class Windows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = (x * 2).contiguous()
            n, t = y.shape
            return y.as_strided((n, t - 2, 3), (t, 1, 1)).mean(-1)

    agree(Windows(), torch.randn(3, 8))


def test_strides_of_memory_in_another_order_are_refused() -> None:
    class Columns(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.t().as_strided((2, 2), (1, 2))

    with pytest.raises(UnsupportedError, match="memory layout"):
        luxgen.transpile(Columns(), (torch.randn(4, 4),))
