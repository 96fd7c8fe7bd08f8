"""Image models of torchvision, pytorchcv, segmentation-models, vit-pytorch and more."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from tests.conformance.built import Builder, Built, images, package

# model: size of the images
TORCHVISION: dict[str, int] = {
    "alexnet": 64,
    "convnext_tiny": 64,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "efficientnet_v2_s": 64,
    "inception_v3": 96,
    "mnasnet0_5": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "resnet18": 64,
    "squeezenet1_1": 64,
    "swin_t": 64,
    "vgg11_bn": 64,
}

# model: size of the images (most end in a 7x7 pooling, made for 224)
PYTORCHCV: dict[str, int] = {
    "airnet50_1x64d_r2": 224,
    "alphapose_fastseresnet101b_coco": 64,
    "darknet_tiny": 224,
    "dpn68": 224,
    "drnc26": 224,
    "fdmobilenet_wd4": 224,
    "igcv3_w1": 224,
    "mnasnet_small": 224,
    "mobilenet_wd4": 224,
    "nin_cifar10": 32,
    "preresnet10": 224,
    "proxylessnas_mobile": 224,
    "pyramidnet110_a48_cifar10": 32,
    "resnext14_16x4d": 224,
    "rir_cifar10": 32,
    "seresnet10": 224,
    "shakeshakeresnet20_2x16d_cifar10": 32,
    "shufflenetv2_wd2": 224,
    "spnasnet": 224,
    "sqnxt23_w1": 224,
    "wrn16_10_cifar10": 32,
}

# class: constructor arguments
VIT_SIZES: dict[str, Any] = {
    "image_size": 64,
    "num_classes": 10,
    "dim": 32,
    "heads": 2,
    "mlp_dim": 64,
}
VIT_PYTORCH: dict[str, tuple[str, dict[str, Any]]] = {
    "CaiT": (
        "cait.CaiT",
        {**VIT_SIZES, "patch_size": 16, "depth": 2, "cls_depth": 1},
    ),
    "CvT": (
        "cvt.CvT",
        {
            "num_classes": 10,
            "s1_emb_dim": 16,
            "s2_emb_dim": 32,
            "s2_heads": 2,
            "s2_depth": 1,
            "s3_emb_dim": 48,
            "s3_heads": 2,
            "s3_depth": 1,
        },
    ),
    "DeepViT": ("deepvit.DeepViT", {**VIT_SIZES, "patch_size": 16, "depth": 2}),
    "LeViT": (
        "levit.LeViT",
        {
            "image_size": 64,
            "num_classes": 10,
            "stages": 2,
            "dim": (32, 48),
            "depth": 1,
            "heads": (2, 3),
            "mlp_mult": 2,
        },
    ),
    "MobileViT": (
        "mobile_vit.MobileViT",
        {
            "image_size": (64, 64),
            "dims": [24, 32, 40],
            "channels": [8, 8, 12, 12, 16, 16, 20, 20, 24, 24, 64],
            "num_classes": 10,
        },
    ),
    "PiT": ("pit.PiT", {**VIT_SIZES, "patch_size": 16, "depth": (1, 1)}),
    "RegionViT": (
        "regionvit.RegionViT",
        {
            "dim": (16, 32, 48, 64),
            "depth": (1, 1, 1, 1),
            "window_size": 2,
            "num_classes": 10,
        },
    ),
    "SimpleViT": ("simple_vit.SimpleViT", {**VIT_SIZES, "patch_size": 16, "depth": 2}),
    "T2TViT": (
        "t2t.T2TViT",
        {
            **VIT_SIZES,
            "depth": 2,
            "t2t_layers": ((7, 4), (3, 2)),
        },
    ),
    "ViT": ("vit.ViT", {**VIT_SIZES, "patch_size": 16, "depth": 2}),
}


def torchvision_model(name: str, size: int) -> Built:
    options: dict[str, Any] = {"weights": None, "num_classes": 10}
    if name == "inception_v3":
        options |= {"init_weights": False, "aux_logits": True}
    model = getattr(package("torchvision.models"), name)(**options)
    return Built(model.eval(), (images(size),))


def torchvision_segmentation(name: str) -> Built:
    models = package("torchvision.models.segmentation")
    model = getattr(models, name)(weights=None, weights_backbone=None, num_classes=5)
    return Built(model.eval(), (images(),))


def torchvision_video(name: str) -> Built:
    model = getattr(package("torchvision.models.video"), name)(
        weights=None, num_classes=10
    )
    return Built(model.eval(), (torch.randn(2, 3, 4, 32, 32),))


def torchvision_vit() -> Built:
    model = package("torchvision.models").VisionTransformer(
        image_size=64,
        patch_size=32,
        num_layers=2,
        num_heads=4,
        hidden_dim=32,
        mlp_dim=64,
        num_classes=10,
    )
    return Built(model.eval(), (images(),))


def pytorchcv(name: str, size: int) -> Built:
    provider = package("pytorchcv.model_provider")
    model = provider.get_model(name, pretrained=False)
    return Built(model.eval(), (images(size),))


def vit_pytorch(path: str, sizes: dict[str, Any]) -> Built:
    module, _, name = path.rpartition(".")
    model = getattr(package(f"vit_pytorch.{module}"), name)(**sizes)
    return Built(model.eval(), (images(),))


def vivit() -> Built:
    model = package("vit_pytorch.vivit").ViViT(
        **{**VIT_SIZES, "image_size": 32},
        image_patch_size=16,
        frames=4,
        frame_patch_size=2,
        spatial_depth=1,
        temporal_depth=1,
    )
    return Built(model.eval(), (torch.randn(2, 3, 4, 32, 32),))


def segmentation(name: str) -> Built:
    models = package("segmentation_models_pytorch")
    model = getattr(models, name)(encoder_name="resnet18", encoder_weights=None)
    return Built(model.eval(), (images(),))


def efficientnet() -> Built:
    model = package("efficientnet_pytorch").EfficientNet.from_name(
        "efficientnet-b0", num_classes=10, image_size=64
    )
    return Built(model.eval(), (images(),))


def open_clip() -> Built:
    model = package("open_clip").CLIP(
        embed_dim=16,
        vision_cfg={"image_size": 64, "layers": 2, "width": 64, "patch_size": 16},
        text_cfg={"context_length": 12, "vocab_size": 99, "width": 64, "heads": 2},
    )
    return Built(model.eval(), (images(), torch.randint(3, 99, (2, 12))))


def hardnet() -> Built:
    model = package("kornia.feature").HardNet(pretrained=False)
    return Built(model.eval(), (images(32, channels=1),))


def gaussian_sobel() -> Built:
    filters = package("kornia.filters")
    blur = filters.GaussianBlur2d((5, 5), (1.5, 1.5))
    return Built(torch.nn.Sequential(blur, filters.Sobel()).eval(), (images(),))


BUILDERS: dict[str, Builder] = {
    **{
        f"torchvision:{name}": partial(torchvision_model, name, size)
        for name, size in TORCHVISION.items()
    },
    "torchvision:deeplabv3_mobilenet_v3_large": partial(
        torchvision_segmentation, "deeplabv3_mobilenet_v3_large"
    ),
    "torchvision:fcn_resnet50": partial(torchvision_segmentation, "fcn_resnet50"),
    "torchvision:r3d_18": partial(torchvision_video, "r3d_18"),
    "torchvision:swin3d_t": partial(torchvision_video, "swin3d_t"),
    "torchvision:vit_b_32": torchvision_vit,
    **{
        f"pytorchcv:{name}": partial(pytorchcv, name, size)
        for name, size in PYTORCHCV.items()
    },
    **{
        f"vit-pytorch:{name}": partial(vit_pytorch, *row)
        for name, row in VIT_PYTORCH.items()
    },
    "vit-pytorch:ViViT": vivit,
    **{
        f"smp:{name}": partial(segmentation, name)
        for name in ("DeepLabV3Plus", "FPN", "Linknet", "MAnet", "UPerNet", "Unet")
    },
    "efficientnet-pytorch:b0": efficientnet,
    "kornia:HardNet": hardnet,
    "kornia:gaussian-sobel": gaussian_sobel,
    "open_clip:ViT-tiny": open_clip,
}
