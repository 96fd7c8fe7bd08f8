"""Recurrent layers end to end: gates, stacks, directions, states, loops over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import luxgen
from tests.semantics.agree import agree


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def x(*shape: int) -> Tensor:
    return torch.randn(*shape)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "batch first": {"batch_first": True},
    "stacked": {"num_layers": 2},
    "both directions": {"bidirectional": True},
    "stacked both": {"num_layers": 2, "bidirectional": True, "batch_first": True},
    "no bias": {"bias": False},
}


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("options", OPTIONS)
def test_layer(kind: Any, options: str) -> None:
    given = OPTIONS[options]
    first = (2, 5, 3) if given.get("batch_first") else (5, 2, 3)
    layer = kind(3, 4, **given)
    other = (3, 7, 3) if given.get("batch_first") else (7, 3, 3)
    agree(layer, x(*first), batches=(), others=((x(*other),),), modes=("eval",))


def test_projection() -> None:
    agree(
        nn.LSTM(3, 4, proj_size=2, num_layers=2, bidirectional=True),
        x(5, 2, 3),
        batches=(),
        modes=("eval",),
    )


def test_relu_nonlinearity() -> None:
    agree(
        nn.RNN(3, 4, nonlinearity="relu", num_layers=2),
        x(5, 2, 3),
        batches=(),
        modes=("eval",),
    )


def test_unbatched() -> None:
    agree(nn.LSTM(3, 4), x(5, 3), batches=(7,), modes=("eval",))


class Given(nn.Module):
    """A state that the caller gives and gets back."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.rnn = kind(3, 4, 2, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        y, state = self.rnn(x, state)
        return self.head(y[:, -1]), state


def test_given_state_is_fed_back() -> None:
    model = Given(nn.LSTM)
    h, c = x(2, 3, 4), x(2, 3, 4)
    made = luxgen.transpile(model, (x(3, 5, 3), (h, c)))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    xs = x(3, 5, 3)
    state, ours = (h.numpy(), c.numpy()), None
    theirs, held = None, (h, c)
    with torch.no_grad():
        for _ in range(3):
            (ours, state), st = module.apply(xs.numpy(), ps, st, state=state)
            theirs, held = model(xs, held)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state[1], held[1].numpy(), rtol=1e-5, atol=1e-6)


def test_missing_state_is_zeros_of_the_current_batch() -> None:
    agree(Given(nn.GRU), x(3, 5, 3), batches=(6, 1), modes=("eval",))


class Cells(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru, self.rnn = (
            nn.LSTMCell(3, 4),
            nn.GRUCell(4, 4),
            nn.RNNCell(4, 4, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        h = c = torch.zeros(x.size(0), 4)
        g = None
        for t in range(x.size(1)):
            h, c = self.lstm(x[:, t], (h, c))
            g = self.gru(h, g)
        return self.rnn(g) + self.lstm(x[:, 0])[1]


def test_cells() -> None:
    agree(Cells(), x(2, 4, 3), batches=(5, 1), modes=("eval",))


class OwnGRU(nn.Module):
    """Reset before the matmul, unlike torch's: written out."""

    def __init__(self) -> None:
        super().__init__()
        self.wx, self.wh = nn.Linear(3, 12), nn.Linear(4, 8, bias=False)
        self.wn = nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(x.shape[0], 4)
        for t in range(x.shape[1]):
            r, z, n = self.wx(x[:, t]).chunk(3, dim=-1)
            hr, hz = self.wh(h).chunk(2, dim=-1)
            r, z = torch.sigmoid(r + hr), torch.sigmoid(z + hz)
            h = (1 - z) * torch.tanh(n + self.wn(r * h)) + z * h
        return h


def test_written_out() -> None:
    agree(OwnGRU(), x(2, 4, 3), batches=(5,), modes=("eval",))


class Remembers(nn.Module):
    """The state is a buffer that forward writes."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)
        self.register_buffer("h", torch.zeros(1, 4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.cell(x, self.h.expand(x.shape[0], 4))
        self.h = h.mean(0, keepdim=True)
        return h


def test_state_in_a_buffer() -> None:
    agree(Remembers(), x(3, 3))


def test_dropout_between_layers_is_on_in_training_only() -> None:
    model = nn.LSTM(3, 16, 2, dropout=0.5, batch_first=True)
    agree(model, x(2, 5, 3), modes=("eval",))
    made = luxgen.transpile(model, (x(2, 5, 3),))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    data = x(2, 5, 3).numpy()
    (still, _), _ = module.apply(data, ps, module.testmode(st))
    (one, _), after = module.apply(data, ps, module.trainmode(st))
    (two, _), _ = module.apply(data, ps, after)
    assert (one != still).any() and (one != two).any()


class Language(nn.Module):
    """Embedding, LSTM, tied head; sizes of the state in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.rnn = nn.Embedding(9, 4), nn.LSTM(4, 4, batch_first=True)
        self.head = nn.Linear(4, 9, bias=False)
        self.head.weight = self.embed.weight

    def init(self, n: int) -> tuple[Tensor, Tensor]:
        weight = next(self.parameters())
        return weight.new_zeros(1, n, 4), weight.new_zeros(1, n, 4)

    def forward(self, ids: Tensor) -> Tensor:
        y, _ = self.rnn(self.embed(ids), self.init(ids.size(0)))
        return self.head(y.reshape(-1, y.size(2))).view(*ids.shape, -1)


def test_language_model() -> None:
    agree(
        Language(),
        torch.randint(9, (3, 5)),
        modes=("eval",),
        others=((torch.randint(9, (2, 8)),),),
    )


class Reversed(nn.Module):
    """An encoder read backwards, the last step, the last layer's state."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, 4, 2, bidirectional=True, batch_first=True)
        self.out = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        y, h = self.rnn(x.flip(1))
        last = h.view(2, 2, x.size(0), 4)[-1]
        return (
            self.out(torch.cat([last[0], last[1]], -1))
            + self.out(y[:, -1])
            + self.out(y.mean(1))
        )


def test_states_of_directions() -> None:
    agree(Reversed(), x(2, 5, 3), batches=(4, 1), modes=("eval",))


def test_weight_norm_on_a_recurrent_weight() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.LSTM(3, 4), "weight_hh_l0")
    agree(layer, x(5, 2, 3), batches=(), modes=("eval",))


def test_no_steps_and_one_step() -> None:
    agree(
        nn.GRU(3, 4, batch_first=True),
        x(2, 5, 3),
        batches=(),
        modes=("eval",),
        others=((x(3, 1, 3),),),
    )
