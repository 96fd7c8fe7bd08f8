"""Mixture density network (Bishop, 1994) with a dict of outputs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MixtureDensityNetwork(nn.Module):
    """Predict a mixture of diagonal Gaussians over the target."""

    def __init__(
        self,
        in_features: int = 4,
        out_features: int = 2,
        hidden_features: int = 64,
        num_components: int = 5,
        min_scale: float = 1e-3,
    ) -> None:
        super().__init__()
        self.num_components = num_components
        self.out_features = out_features
        self.min_scale = min_scale
        self.backbone = nn.Sequential(
            nn.Linear(in_features, hidden_features),
            nn.Tanh(),
            nn.Linear(hidden_features, hidden_features),
            nn.Tanh(),
        )
        self.logits = nn.Linear(hidden_features, num_components)
        self.loc = nn.Linear(hidden_features, num_components * out_features)
        self.scale = nn.Linear(hidden_features, num_components * out_features)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the mixture's parameters for x (N, in_features).

        `log_weights` is (N, K); `loc` and `scale` are (N, K, out_features);
        `mean` (N, out_features) is the mean of the whole mixture.
        """
        h = self.backbone(x)
        shape = (-1, self.num_components, self.out_features)
        log_weights = F.log_softmax(self.logits(h), dim=-1)
        loc = self.loc(h).view(shape)
        scale = F.softplus(self.scale(h)).view(shape) + self.min_scale
        mean = torch.sum(log_weights.exp().unsqueeze(-1) * loc, dim=1)
        return {"log_weights": log_weights, "loc": loc, "scale": scale, "mean": mean}
