"""Language, speech and multimodal models of the transformers package."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from tests.conformance.built import (
    LENGTH,
    VOCABULARY,
    Builder,
    Built,
    images,
    package,
    tokens,
)

# the names that most configurations give to their sizes
SMALL: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
SMALL_DECODER: dict[str, Any] = {
    **SMALL,
    "num_key_value_heads": 2,
    "use_cache": False,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "use_cache": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SEQ2SEQ: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
    "use_cache": False,
}
SMALL_VISION: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 64,
    "patch_size": 16,
}
SPEECH: dict[str, Any] = {
    **SMALL,
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 3, 3),
    "conv_stride": (5, 2, 2),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "apply_spec_augment": False,
}


def _from_config(config: str, model: str, sizes: dict[str, Any]) -> torch.nn.Module:
    library = package("transformers")
    made: torch.nn.Module = getattr(library, model)(getattr(library, config)(**sizes))
    return made.eval()


def text(config: str, model: str, sizes: dict[str, Any], length: int = LENGTH) -> Built:
    """A model of token ids alone."""
    return Built(_from_config(config, model, sizes), (tokens(length),))


def seq2seq(config: str, model: str, sizes: dict[str, Any]) -> Built:
    """A model of source and target token ids."""
    ids = {"input_ids": tokens(), "decoder_input_ids": tokens(7)}
    return Built(_from_config(config, model, sizes), (), ids)


def vision(config: str, model: str, sizes: dict[str, Any]) -> Built:
    """A model of pixel values."""
    return Built(_from_config(config, model, sizes), (images(),))


def speech(config: str, model: str, sizes: dict[str, Any]) -> Built:
    """A model of raw waveforms."""
    return Built(_from_config(config, model, sizes), (torch.randn(2, 800),))


def clip() -> Built:
    sizes = {"text_config": SMALL, "vision_config": SMALL_VISION, "projection_dim": 16}
    model = _from_config("CLIPConfig", "CLIPModel", sizes)
    return Built(model, (), {"input_ids": tokens(), "pixel_values": images()})


def vilt() -> Built:
    model = _from_config("ViltConfig", "ViltModel", {**SMALL, **SMALL_VISION})
    inputs = {"input_ids": tokens(), "pixel_values": images()}
    return Built(model, (), {**inputs, "pixel_mask": torch.ones(2, 64, 64).long()})


def vitmae() -> Built:
    sizes = {
        **SMALL_VISION,
        "decoder_hidden_size": 16,
        "decoder_num_hidden_layers": 1,
        "decoder_num_attention_heads": 2,
        "decoder_intermediate_size": 32,
    }
    model = _from_config("ViTMAEConfig", "ViTMAEForPreTraining", sizes)
    return Built(model, (images(),), {"noise": torch.rand(2, 16)})


def perceiver() -> Built:
    sizes = {
        "num_latents": 8,
        "d_latents": 32,
        "d_model": 24,
        "num_blocks": 1,
        "num_self_attends_per_block": 2,
        "num_self_attention_heads": 4,
        "num_cross_attention_heads": 4,
    }
    model = _from_config("PerceiverConfig", "PerceiverModel", sizes)
    return Built(model, (torch.randn(2, LENGTH, 24),))


def sam() -> Built:
    sizes = {
        "vision_config": {
            **SMALL_VISION,
            "output_channels": 16,
            "global_attn_indexes": [1],
            "window_size": 2,
            "mlp_dim": 64,
            "num_pos_feats": 8,
        },
        "prompt_encoder_config": {
            "hidden_size": 16,
            "image_size": 64,
            "patch_size": 16,
            "mask_input_channels": 4,
        },
        "mask_decoder_config": {
            "hidden_size": 16,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
    }
    model = _from_config("SamConfig", "SamModel", sizes)
    points = torch.rand(2, 1, 3, 2) * 64
    return Built(model, (), {"pixel_values": images(), "input_points": points})


def time_series_transformer() -> Built:
    sizes = {
        "prediction_length": 4,
        "context_length": 8,
        "lags_sequence": [1, 2],
        "num_time_features": 1,
        "d_model": 16,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
        "use_cache": False,
    }
    model = _from_config(
        "TimeSeriesTransformerConfig", "TimeSeriesTransformerModel", sizes
    )
    return Built(
        model,
        (),
        {
            "past_values": torch.rand(2, 10),
            "past_time_features": torch.rand(2, 10, 1),
            "past_observed_mask": torch.ones(2, 10),
            "future_values": torch.rand(2, 4),
            "future_time_features": torch.rand(2, 4, 1),
        },
    )


def vits() -> Built:
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "ffn_dim": 32,
        "flow_size": 16,
        "spectrogram_bins": 9,
        "prior_encoder_num_wavenet_layers": 1,
        "posterior_encoder_num_wavenet_layers": 1,
        "duration_predictor_filter_channels": 16,
        "upsample_initial_channel": 16,
        "upsample_rates": (8, 2),
        "upsample_kernel_sizes": (16, 4),
        "resblock_kernel_sizes": (3,),
        "resblock_dilation_sizes": ((1, 3),),
        "noise_scale": 0.0,
        "noise_scale_duration": 0.0,
    }
    return Built(_from_config("VitsConfig", "VitsModel", sizes), (tokens(),))


DEEPSEEK: dict[str, Any] = {
    **SMALL_DECODER,
    "num_key_value_heads": 4,
    "moe_intermediate_size": 32,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 2,
    "topk_group": 1,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "first_k_dense_replace": 1,
}
FUNNEL: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "block_sizes": [1, 1],
    "num_decoder_layers": 1,
    "d_model": 32,
    "n_head": 4,
    "d_head": 8,
    "d_inner": 64,
}
REFORMER: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "attention_head_size": 16,
    "attn_layers": ["local", "lsh"],
    "feed_forward_size": 64,
    "axial_pos_shape": [4, 4],
    "axial_pos_embds_dim": [16, 16],
    "local_attn_chunk_length": 4,
    "lsh_attn_chunk_length": 4,
    "num_buckets": 4,
    "max_position_embeddings": 16,
    "hash_seed": 0,
    "use_cache": False,
}
GEMMA: dict[str, Any] = {**SMALL_DECODER, "head_dim": 8}
MAMBA: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "state_size": 8,
    "num_hidden_layers": 2,
    "use_cache": False,
}
MPT: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "n_layers": 2,
    "n_heads": 4,
    "max_seq_len": 64,
    "use_cache": False,
}
NEO: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_layers": 2,
    "attention_types": [[["global", "local"], 1]],
    "num_heads": 4,
    "max_position_embeddings": 64,
    "window_size": 4,
    "use_cache": False,
}
OPT: dict[str, Any] = {**SMALL_DECODER, "ffn_dim": 64, "word_embed_proj_dim": 32}
T5: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_heads": 4,
    "use_cache": False,
}
STAGES: dict[str, Any] = {"hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 2, 1]}
MOBILEVIT: dict[str, Any] = {
    "image_size": 64,
    "hidden_sizes": [16, 24, 32],
    "neck_hidden_sizes": [8, 8, 16, 16, 24, 24, 48],
    "num_attention_heads": 2,
}
DPT: dict[str, Any] = {
    **SMALL_VISION,
    "num_hidden_layers": 4,
    "backbone_out_indices": [0, 1, 2, 3],
    "neck_hidden_sizes": [8, 8, 16, 16],
    "fusion_hidden_size": 16,
    "reassemble_factors": [4, 2, 1, 0.5],
}
CODEGEN: dict[str, Any] = {**GPT, "n_ctx": 64, "rotary_dim": 4}

# family: (kind, configuration class, model class, sizes)
TABLE: dict[str, tuple[Any, str, str, dict[str, Any]]] = {
    "albert": (text, "AlbertConfig", "AlbertModel", {**SMALL, "embedding_size": 16}),
    "bart": (seq2seq, "BartConfig", "BartModel", SEQ2SEQ),
    "bert": (text, "BertConfig", "BertModel", SMALL),
    "bigbird": (text, "BigBirdConfig", "BigBirdModel", SMALL),
    "codegen": (text, "CodeGenConfig", "CodeGenModel", CODEGEN),
    "cohere": (text, "CohereConfig", "CohereModel", SMALL_DECODER),
    "convnext": (vision, "ConvNextConfig", "ConvNextModel", STAGES),
    "deepseek-v3": (text, "DeepseekV3Config", "DeepseekV3Model", DEEPSEEK),
    "deit": (vision, "DeiTConfig", "DeiTModel", SMALL_VISION),
    "dinov2": (vision, "Dinov2Config", "Dinov2Model", SMALL_VISION),
    "distilbert": (
        text,
        "DistilBertConfig",
        "DistilBertModel",
        {"vocab_size": VOCABULARY, "dim": 32, "n_layers": 2, "n_heads": 4},
    ),
    "dpt": (vision, "DPTConfig", "DPTForDepthEstimation", DPT),
    "falcon": (text, "FalconConfig", "FalconModel", SMALL_DECODER),
    "funnel": (text, "FunnelConfig", "FunnelModel", FUNNEL),
    "gemma": (text, "GemmaConfig", "GemmaModel", GEMMA),
    "gemma2": (text, "Gemma2Config", "Gemma2Model", GEMMA),
    "glm": (text, "GlmConfig", "GlmModel", GEMMA),
    "gpt-neo": (text, "GPTNeoConfig", "GPTNeoModel", NEO),
    "gpt2": (text, "GPT2Config", "GPT2LMHeadModel", GPT),
    "gptj": (text, "GPTJConfig", "GPTJModel", {**GPT, "rotary_dim": 4}),
    "granite": (text, "GraniteConfig", "GraniteModel", SMALL_DECODER),
    "hubert": (speech, "HubertConfig", "HubertModel", SPEECH),
    "llama": (text, "LlamaConfig", "LlamaForCausalLM", SMALL_DECODER),
    "longformer": (
        text,
        "LongformerConfig",
        "LongformerModel",
        {**SMALL, "attention_window": 4},
    ),
    "mamba": (text, "MambaConfig", "MambaModel", MAMBA),
    "mistral": (text, "MistralConfig", "MistralModel", SMALL_DECODER),
    "mixtral": (
        text,
        "MixtralConfig",
        "MixtralModel",
        {**SMALL_DECODER, "num_local_experts": 4},
    ),
    "mobilevit": (vision, "MobileViTConfig", "MobileViTModel", MOBILEVIT),
    "mpnet": (text, "MPNetConfig", "MPNetModel", SMALL),
    "mpt": (text, "MptConfig", "MptModel", MPT),
    "nemotron": (text, "NemotronConfig", "NemotronModel", SMALL_DECODER),
    "opt": (text, "OPTConfig", "OPTModel", OPT),
    "pegasus": (seq2seq, "PegasusConfig", "PegasusModel", SEQ2SEQ),
    "phi": (text, "PhiConfig", "PhiModel", SMALL_DECODER),
    "phi3": (text, "Phi3Config", "Phi3Model", SMALL_DECODER),
    "qwen2": (text, "Qwen2Config", "Qwen2Model", SMALL_DECODER),
    "resnet": (
        vision,
        "ResNetConfig",
        "ResNetModel",
        {**STAGES, "embedding_size": 8, "layer_type": "basic"},
    ),
    "roberta": (text, "RobertaConfig", "RobertaModel", SMALL),
    "smollm3": (text, "SmolLM3Config", "SmolLM3Model", SMALL_DECODER),
    "stablelm": (text, "StableLmConfig", "StableLmModel", SMALL_DECODER),
    "starcoder2": (text, "Starcoder2Config", "Starcoder2Model", SMALL_DECODER),
    "t5": (seq2seq, "T5Config", "T5Model", T5),
    "vit": (vision, "ViTConfig", "ViTModel", SMALL_VISION),
    "wav2vec2": (speech, "Wav2Vec2Config", "Wav2Vec2Model", SPEECH),
}

BUILDERS: dict[str, Builder] = {
    **{
        f"transformers:{name}": partial(kind, config, model, sizes)
        for name, (kind, config, model, sizes) in TABLE.items()
    },
    "transformers:clip": clip,
    "transformers:perceiver": perceiver,
    "transformers:reformer": partial(
        text, "ReformerConfig", "ReformerModel", REFORMER, 16
    ),
    "transformers:sam": sam,
    "transformers:time-series-transformer": time_series_transformer,
    "transformers:vilt": vilt,
    "transformers:vitmae": vitmae,
    "transformers:vits": vits,
}
