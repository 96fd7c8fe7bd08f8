"""Models of scientific, generative, control and attention packages, and classics."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.benchmarks.cases import CASES, torch_model
from tests.conformance.built import (
    LENGTH,
    VOCABULARY,
    Builder,
    Built,
    images,
    package,
    tokens,
)


def _eval(model: Any, *args: Any, **kwargs: Any) -> Built:
    """The model in evaluation mode, called with the given arguments."""
    made: nn.Module = model.eval()
    return Built(made, args, kwargs)


def monai(name: str, **sizes: Any) -> Builder:
    """A medical network on two-dimensional images of one channel."""

    def build() -> Built:
        nets = package("monai.networks.nets")
        return _eval(getattr(nets, name)(**sizes), images(channels=1))

    return build


MONAI: dict[str, Builder] = {
    "AttentionUnet": monai(
        "AttentionUnet",
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        channels=(8, 16, 32),
        strides=(2, 2),
    ),
    "BasicUNet": monai("BasicUNet", spatial_dims=2, features=(8, 8, 16, 16, 32, 8)),
    "DynUNet": monai(
        "DynUNet",
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        kernel_size=(3, 3, 3),
        strides=(1, 2, 2),
        upsample_kernel_size=(2, 2),
        filters=(8, 16, 32),
    ),
    "HighResNet": monai("HighResNet", spatial_dims=2, in_channels=1, out_channels=2),
    "SegResNet": monai("SegResNet", spatial_dims=2, init_filters=8),
    "UNETR": monai(
        "UNETR",
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        img_size=64,
        feature_size=8,
        hidden_size=32,
        mlp_dim=64,
        num_heads=4,
    ),
    "UNet": monai(
        "UNet",
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        channels=(8, 16, 32),
        strides=(2, 2),
        num_res_units=2,
    ),
    "VarAutoEncoder": monai(
        "VarAutoEncoder",
        spatial_dims=2,
        in_shape=(1, 64, 64),
        out_channels=1,
        latent_size=8,
        channels=(8, 16),
        strides=(2, 2),
    ),
}


class DCGANGenerator(nn.Module):
    """Generator of Radford et al. (2015) for 32x32 images."""

    def __init__(self, latent_dim: int = 16, width: int = 8) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = latent_dim
        for index, planes in enumerate((4 * width, 2 * width, width)):
            stride, padding = (1, 0) if index == 0 else (2, 1)
            layers += [
                nn.ConvTranspose2d(channels, planes, 4, stride, padding, bias=False),
                nn.BatchNorm2d(planes),
                nn.ReLU(True),
            ]
            channels = planes
        layers += [nn.ConvTranspose2d(channels, 3, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.main(z)
        return y


def dcgan() -> Built:
    return _eval(DCGANGenerator(), torch.randn(2, 16, 1, 1))


def golden(case: str) -> Builder:
    """One of the project's own cases."""
    return lambda: _eval(torch_model(case), *CASES[case][1](2))


def x_decoder(**options: Any) -> Builder:
    """A language model of x-transformers."""

    def build() -> Built:
        library = package("x_transformers")
        layers = library.Decoder(dim=32, depth=2, heads=4, **options)
        model = library.TransformerWrapper(
            num_tokens=VOCABULARY, max_seq_len=32, attn_layers=layers
        )
        return _eval(model, tokens())

    return build


def autoencoder_kl() -> Built:
    model = package("diffusers").AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=32,
    )
    return _eval(model, images(32), return_dict=False)


def unet_2d() -> Built:
    model = package("diffusers").UNet2DModel(
        sample_size=32,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        attention_head_dim=8,
        layers_per_block=1,
    )
    return _eval(model, images(32), torch.tensor([3, 7]), return_dict=False)


def unet_2d_condition() -> Built:
    model = package("diffusers").UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=4,
        layers_per_block=1,
    )
    text = torch.randn(2, 5, 16)
    args = (images(32, channels=4), torch.tensor([3, 7]), text)
    return _eval(model, *args, return_dict=False)


def ddpm() -> Built:
    model = package("denoising_diffusion_pytorch").Unet(dim=16, dim_mults=(1, 2))
    return _eval(model, images(32), torch.tensor([3, 7]))


def _spaces() -> tuple[Any, Any]:
    spaces = package("gymnasium.spaces")
    return spaces.Box(-1.0, 1.0, (6,)), spaces.Box(-1.0, 1.0, (2,))


def mlp_policy() -> Built:
    policies = package("stable_baselines3.common.policies")
    policy = policies.ActorCriticPolicy(*_spaces(), lambda _: 1e-3)
    return _eval(policy, torch.randn(2, 6), deterministic=True)


def nature_cnn() -> Built:
    import numpy as np

    layers = package("stable_baselines3.common.torch_layers")
    box = package("gymnasium.spaces").Box(0, 255, (4, 84, 84), np.uint8)
    return _eval(layers.NatureCNN(box, features_dim=32), torch.rand(2, 4, 84, 84))


def sac_actor() -> Built:
    observation, action = _spaces()
    layers = package("stable_baselines3.common.torch_layers")
    actor = package("stable_baselines3.sac.policies").Actor(
        observation,
        action,
        net_arch=[32, 32],
        features_extractor=layers.FlattenExtractor(observation),
        features_dim=6,
    )
    return _eval(actor, torch.randn(2, 6), deterministic=True)


def _graph() -> tuple[Tensor, Tensor]:
    """Features of ten nodes, and the edges of a ring in both directions."""
    nodes = torch.arange(10)
    ring = torch.stack([nodes, nodes.roll(-1)])
    return torch.randn(10, 8), torch.cat([ring, ring.flip(0)], dim=1)


def gcn() -> Built:
    return _eval(package("torch_geometric.nn").GCN(8, 16, 2, 4), *_graph())


def gin() -> Built:
    return _eval(package("torch_geometric.nn").GIN(8, 16, 2, 4), *_graph())


def schnet() -> Built:
    """SchNet; edges are given, since finding them needs a compiled extension."""
    models = package("torch_geometric.nn.models.schnet")

    class Edges(nn.Module):
        def forward(self, pos: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
            first, second = torch.triu_indices(pos.size(0), pos.size(0), offset=1)
            edges = torch.stack(
                [torch.cat([first, second]), torch.cat([second, first])]
            )
            return edges, (pos[edges[0]] - pos[edges[1]]).norm(dim=-1)

    model = models.SchNet(
        hidden_channels=16,
        num_filters=16,
        num_interactions=2,
        num_gaussians=8,
        interaction_graph=Edges(),
    )
    return _eval(model, torch.randint(1, 9, (6,)), torch.randn(6, 3))


def fno() -> Built:
    model = package("neuralop.models").FNO(
        n_modes=(8, 8), in_channels=1, out_channels=1, hidden_channels=8, n_layers=2
    )
    return _eval(model, images(32, channels=1))


def uno() -> Built:
    model = package("neuralop.models").UNO(
        in_channels=1,
        out_channels=1,
        hidden_channels=8,
        n_layers=3,
        uno_out_channels=[8, 8, 8],
        uno_n_modes=[[6, 6], [6, 6], [6, 6]],
        uno_scalings=[[1.0, 1.0], [0.5, 0.5], [2.0, 2.0]],
        channel_mlp_skip="linear",
    )
    return _eval(model, images(32, channels=1))


class ODENet(nn.Module):
    """A neural ODE: the state of a learnt flow at time 1."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 4))

    def field(self, _time: Tensor, state: Tensor) -> Tensor:
        y: Tensor = self.layers(state)
        return y

    def forward(self, x: Tensor) -> Tensor:
        times = torch.linspace(0.0, 1.0, 5)
        odeint = package("torchdiffeq").odeint
        states: Tensor = odeint(self.field, x, times, method=self.method)
        return states[-1]


def ode(method: str) -> Builder:
    return lambda: _eval(ODENet(method), torch.randn(2, 4))


class KernelMatrix(nn.Module):
    """Dense covariance of a Gaussian process's kernel."""

    def __init__(self) -> None:
        super().__init__()
        kernels = package("gpytorch.kernels")
        self.kernel = kernels.ScaleKernel(kernels.RBFKernel(ard_num_dims=3))

    def forward(self, x: Tensor) -> Tensor:
        matrix: Tensor = self.kernel(x).to_dense()
        return matrix


def gp_kernel() -> Built:
    return _eval(KernelMatrix(), torch.randn(6, 3))


def mamba() -> Built:
    library = package("mambapy.mamba")
    config = library.MambaConfig(d_model=16, n_layers=2, d_state=4)
    return _eval(library.Mamba(config), torch.randn(2, LENGTH, 16))


def cfc() -> Built:
    return _eval(package("ncps.torch").CfC(6, 16), torch.randn(2, 7, 6))


def performer() -> Built:
    model = package("performer_pytorch").PerformerLM(
        num_tokens=VOCABULARY,
        max_seq_len=32,
        dim=32,
        depth=2,
        heads=4,
        dim_head=8,
        causal=False,
    )
    return _eval(model, tokens(32))


def kan() -> Built:
    library = package("kan")
    model = library.KAN(
        width=[3, 4, 2], grid=3, k=3, seed=0, auto_save=False, symbolic_enabled=False
    )
    model.save_act = False  # keeps copies for plots otherwise
    return _eval(model, torch.rand(4, 3) * 2 - 1)


def tabnet() -> Built:
    module = package("pytorch_tabnet.tab_network")
    model = module.TabNet(
        8, 3, n_d=8, n_a=8, n_steps=2, group_attention_matrix=torch.eye(8)
    )
    return _eval(model, torch.randn(4, 8))


def reformer() -> Built:
    model = package("reformer_pytorch").ReformerLM(
        num_tokens=VOCABULARY,
        dim=32,
        depth=2,
        max_seq_len=32,
        heads=4,
        bucket_size=8,
        causal=True,
    )
    return _eval(model, tokens(32))


def siren() -> Built:
    model = package("siren_pytorch").SirenNet(
        dim_in=2, dim_hidden=32, dim_out=3, num_layers=3
    )
    return _eval(model, torch.rand(8, 2))


BUILDERS: dict[str, Builder] = {
    **{f"monai:{name}": build for name, build in MONAI.items()},
    "classic:DCGAN-G": dcgan,
    "classic:LeNet": golden("lenet5"),
    "classic:VAE": golden("vae"),
    "classic:nanoGPT": golden("gpt"),
    "classic:wordLM-LSTM": golden("lstm_lm"),
    "x-transformers:decoder": x_decoder(),
    "x-transformers:gateloop-talking": x_decoder(
        attn_pre_talking_heads=True, attn_post_talking_heads=True
    ),
    "x-transformers:rotary-swiglu-rms": x_decoder(
        rotary_pos_emb=True, ff_swish=True, ff_glu=True, use_rmsnorm=True
    ),
    "x-transformers:t5bias-sandwich": x_decoder(
        rel_pos_bias=True, sandwich_coef=1, sandwich_norm=True
    ),
    "diffusers:AutoencoderKL": autoencoder_kl,
    "diffusers:UNet2DConditionModel": unet_2d_condition,
    "diffusers:UNet2DModel": unet_2d,
    "sb3:MlpPolicy": mlp_policy,
    "sb3:NatureCNN": nature_cnn,
    "sb3:SACActor": sac_actor,
    "torch_geometric:GCN": gcn,
    "torch_geometric:GIN": gin,
    "torch_geometric:SchNet": schnet,
    "neuraloperator:FNO": fno,
    "neuraloperator:UNO": uno,
    "torchdiffeq:odenet-dopri5": ode("dopri5"),
    "torchdiffeq:odenet-rk4": ode("rk4"),
    "ddpm:Unet": ddpm,
    "gpytorch:ExactGP-kernel": gp_kernel,
    "mambapy:Mamba": mamba,
    "ncps:CfC": cfc,
    "performer-pytorch:PerformerLM": performer,
    "pykan:KAN": kan,
    "pytorch-tabnet:TabNet": tabnet,
    "reformer-pytorch:ReformerLM": reformer,
    "siren:SirenNet": siren,
}
