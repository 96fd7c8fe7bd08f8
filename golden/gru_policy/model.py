"""Recurrent actor-critic policy for partially observed control."""

import torch
from torch import Tensor, nn


class GRUPolicy(nn.Module):
    """Recurrent actor-critic; the caller carries `h` between steps."""

    def __init__(
        self, obs_dim: int = 8, hidden_dim: int = 32, num_actions: int = 4
    ) -> None:
        super().__init__()
        self.encoder = nn.Linear(obs_dim, hidden_dim)
        self.gru = nn.GRUCell(hidden_dim, hidden_dim)
        self.actor = nn.Linear(hidden_dim, num_actions)
        self.critic = nn.Linear(hidden_dim, 1)

    def forward(self, obs: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return action logits (N, A), values (N,) and the next hidden state."""
        z = torch.tanh(self.encoder(obs))
        h = self.gru(z, h)
        return self.actor(h), self.critic(h).squeeze(-1), h


def example_inputs() -> tuple[Tensor, Tensor]:
    """Observations and hidden states of two environments."""
    return torch.randn(2, 8), torch.zeros(2, 32)
