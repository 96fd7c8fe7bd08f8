"""Image models of the timm package, one of each of its architecture files."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.conformance.built import Builder, Built, images, package

SMALL_VIT: dict[str, Any] = {
    "img_size": 64,
    "embed_dim": 48,
    "depth": 2,
    "num_heads": 3,
}
SIZED: dict[str, Any] = {"img_size": 64}

# architecture file: (model, size of the images, overrides that make it small)
TABLE: dict[str, tuple[str, int, dict[str, Any]]] = {
    "beit": ("beit_base_patch16_224", 64, SMALL_VIT),
    "byoanet": ("eca_botnext26ts_256", 64, SIZED),
    "byobnet": ("mobileone_s0", 64, {}),
    "convit": (
        "convit_tiny",
        64,
        {"img_size": 64, "depth": 3, "local_up_to_layer": 2},
    ),
    "convnext": ("convnext_atto_rms", 64, {}),
    "cpubone": ("cpubone_nano", 64, {}),
    "crossvit": ("crossvit_tiny_240", 64, {}),
    "csatv2": ("csatv2", 64, {}),
    "cspnext": ("cspnext_tiny", 64, {}),
    "deit": ("deit_tiny_patch16_224", 64, SMALL_VIT),
    "densenet": ("densenet264d", 64, {"growth_rate": 8, "block_config": (2, 2, 2, 2)}),
    "dla": ("dla102x", 64, {}),
    "dpn": ("dpn107", 64, {"k_sec": (1, 2, 2, 1)}),
    "efficientformer": ("efficientformer_l1", 224, {}),
    "efficientnet": ("efficientnet_lite0", 64, {}),
    "efficientvim": ("efficientvim_m1", 64, {}),
    "efficientvit_mit": ("efficientvit_b0", 64, {}),
    "efficientvit_msra": ("efficientvit_m0", 64, SIZED),
    "eva": ("eva02_tiny_patch14_224", 56, {**SMALL_VIT, "img_size": 56}),
    "fasternet": ("fasternet_s", 64, {"embed_dim": 16, "depths": (1, 1, 2, 1)}),
    "focalnet": ("focalnet_tiny_srf", 64, {}),
    "gemma4_vit": ("gemma4_vit_167m", 64, SMALL_VIT),
    "ghostnet": ("ghostnet_050", 64, {}),
    "hardcorenas": ("hardcorenas_b", 64, {}),
    "hrnet": ("hrnet_w18_small", 64, {}),
    "inception_next": ("inception_next_atto", 64, {}),
    "inception_resnet_v2": ("inception_resnet_v2", 96, {}),
    "inception_v3": ("inception_v3", 96, {}),
    "inception_v4": ("inception_v4", 96, {}),
    "lcnetv2": ("lcnetv2_small", 64, {}),
    "lowformer": ("lowformer_b0", 64, {}),
    "mambaout": ("mambaout_femto", 64, {}),
    "metaformer": ("caformer_s18", 64, {}),
    "mlp_mixer": ("gmlp_ti16_224", 64, SIZED),
    "mobilenetv3": ("mobilenetv3_small_050", 64, {}),
    "mobilenetv5": ("mobilenetv5_base", 64, {}),
    "mobilevit": ("mobilevit_xxs", 64, SIZED),
    "naflexvit": (
        "naflexvit_base_patch16_parfac_gap",
        64,
        {"img_size": 64, "embed_dim": 48, "depth": 2, "num_heads": 3},
    ),
    "nasnet": ("nasnetalarge", 64, {"stem_size": 24, "num_features": 1152}),
    "nest": ("nest_tiny", 64, SIZED),
    "nextvit": ("nextvit_small", 64, {}),
    "pit": ("pit_xs_224", 64, SIZED),
    "pnasnet": ("pnasnet5large", 64, {}),
    "qwen3_vit": ("qwen3_vit_88m", 64, SMALL_VIT),
    "rdnet": ("rdnet_tiny", 64, {}),
    "regnet": ("regnetx_002", 64, {}),
    "repghost": ("repghostnet_050", 64, {}),
    "resnest": ("resnest26d", 64, {}),
    "resnet": ("resnet10t", 64, {}),
    "resnetv2": ("resnetv2_18", 64, {}),
    "senet": ("legacy_seresnet18", 64, {}),
    "shvit": ("shvit_s1", 64, {}),
    "starnet": ("starnet_s050", 64, {}),
    "swiftformer": ("swiftformer_xs", 64, SIZED),
    "swin_transformer": (
        "swin_tiny_patch4_window7_224",
        64,
        {"img_size": 64, "embed_dim": 24, "depths": (2, 2, 2, 2)},
    ),
    "swin_transformer_v2": (
        "swinv2_tiny_window8_256",
        64,
        {"img_size": 64, "embed_dim": 24, "depths": (2, 2, 2, 2)},
    ),
    "swin_transformer_v2_cr": (
        "swinv2_cr_tiny_224",
        64,
        {"img_size": 64, "embed_dim": 24, "depths": (2, 2, 2, 2)},
    ),
    "tiny_vit": ("tiny_vit_5m_224", 64, {}),
    "tresnet": ("tresnet_m", 64, {"layers": [1, 1, 2, 1]}),
    "vgg": ("vgg11", 64, {"mlp_ratio": 1 / 64}),
    "vision_transformer": ("vit_tiny_patch16_224", 64, SMALL_VIT),
    "vision_transformer_hybrid": ("vit_tiny_r_s16_p8_224", 64, SMALL_VIT),
    "vision_transformer_relpos": ("vit_srelpos_small_patch16_224", 64, SMALL_VIT),
    "vision_transformer_sam": (
        "samvit_base_patch16_224",
        64,
        {**SMALL_VIT, "global_attn_indexes": (1,), "neck_chans": 32},
    ),
    "vitamin": ("vitamin_small_224", 64, SIZED),
    "vovnet": ("ese_vovnet19b_slim_dw", 64, {}),
    "xception": ("legacy_xception", 64, {}),
    "xception_aligned": ("xception41p", 64, {}),
}


def build(model: str, size: int, overrides: dict[str, Any]) -> Built:
    timm = package("timm")
    made = timm.create_model(model, pretrained=False, num_classes=10, **overrides)
    return Built(made.eval(), (images(size),))


BUILDERS: dict[str, Builder] = {
    f"timm:{name}": partial(build, *row) for name, row in TABLE.items()
}
