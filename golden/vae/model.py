"""Convolutional variational autoencoder (Kingma & Welling, 2013)."""

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """Map images (N, 1, 28, 28) to the mean and log-variance of q(z | x)."""

    def __init__(self, channels: int, latent_dim: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, channels, 3, stride=2, padding=1),  # 14 x 14
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),  # 7 x 7
            nn.ReLU(),
            nn.Flatten(),
        )
        self.fc_mu = nn.Linear(2 * channels * 7 * 7, latent_dim)
        self.fc_logvar = nn.Linear(2 * channels * 7 * 7, latent_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.conv(x)
        return self.fc_mu(h), self.fc_logvar(h)


class Decoder(nn.Module):
    """Map codes (N, latent_dim) to pixel probabilities (N, 1, 28, 28)."""

    def __init__(self, channels: int, latent_dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(latent_dim, 2 * channels * 7 * 7)
        self.deconv = nn.Sequential(
            nn.Unflatten(1, (2 * channels, 7, 7)),
            nn.ReLU(),
            nn.ConvTranspose2d(
                2 * channels, channels, 3, stride=2, padding=1, output_padding=1
            ),
            nn.ReLU(),
            nn.ConvTranspose2d(channels, 1, 3, stride=2, padding=1, output_padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.deconv(self.fc(z)))


class VAE(nn.Module):
    """Gaussian encoder and Bernoulli decoder for 28x28 images in [0, 1]."""

    def __init__(self, channels: int = 16, latent_dim: int = 16) -> None:
        super().__init__()
        self.encoder = Encoder(channels, latent_dim)
        self.decoder = Decoder(channels, latent_dim)

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Draw z ~ q(z | x) in training; take its mean in evaluation."""
        if not self.training:
            return mu
        std = torch.exp(0.5 * logvar)
        return mu + std * torch.randn_like(std)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the reconstruction, mu and logvar of images (N, 1, 28, 28)."""
        mu, logvar = self.encoder(x)
        z = self.reparameterize(mu, logvar)
        return self.decoder(z), mu, logvar


def example_inputs() -> tuple[Tensor]:
    """A batch of two images."""
    return (torch.rand(2, 1, 28, 28),)
