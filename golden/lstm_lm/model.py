"""Word-level LSTM language model whose state is passed in and returned."""

import torch
from torch import Tensor, nn

LSTMState = tuple[Tensor, Tensor]


class LSTMLanguageModel(nn.Module):
    """Embedding, stacked LSTM and decoder, with weights tied on request."""

    def __init__(
        self,
        vocab_size: int = 200,
        embedding_dim: int = 64,
        hidden_dim: int = 64,
        num_layers: int = 2,
        dropout: float = 0.2,
        tie_weights: bool = True,
    ) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.hidden_dim = hidden_dim
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = nn.LSTM(
            embedding_dim, hidden_dim, num_layers, dropout=dropout, batch_first=True
        )
        self.decoder = nn.Linear(hidden_dim, vocab_size)
        if tie_weights:
            if embedding_dim != hidden_dim:
                raise ValueError("tied weights need embedding_dim == hidden_dim")
            self.decoder.weight = self.encoder.weight
        self.init_weights()

    def init_weights(self) -> None:
        """Draw the embedding from a small uniform; zero the decoder's bias."""
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def init_state(self, batch_size: int) -> LSTMState:
        """Zero hidden and cell states for a batch."""
        zeros = torch.zeros(self.num_layers, batch_size, self.hidden_dim)
        return zeros, zeros.clone()

    def forward(self, tokens: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """Map tokens (N, T) to logits (N, T, vocab_size) and the next state."""
        embedded = self.drop(self.encoder(tokens))
        output, state = self.lstm(embedded, state)
        return self.decoder(self.drop(output)), state


def example_inputs() -> tuple[Tensor, LSTMState]:
    """Two sentences of seven words and their initial state."""
    h = torch.zeros(2, 2, 64)
    return torch.randint(0, 200, (2, 7)), (h, h.clone())
