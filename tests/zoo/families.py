"""Tiny random models of the architecture families people train, as transformers builds them.

Every one has the seed's tokenizer, a residual stream of 32 and two to six layers, and weights large
enough for the next-token distribution to be far from flat: a wrong position, mask or state shows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

WINDOW = 16
"""Tokens that a sliding-window layer of the zoo sees."""

CONTEXT = 64
"""Positions that the zoo's GPT-2 has."""

_SPREAD = 2.0
"""Standard deviation of a family's logits over the vocabulary, in nats."""

_SLIDING, _FULL, _LINEAR = "sliding_attention", "full_attention", "linear_attention"

_LLAMA = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 2048,
}
_HEAD = {**_LLAMA, "head_dim": 16}
_WINDOWED = {**_HEAD, "sliding_window": WINDOW, "layer_types": [_SLIDING, _FULL]}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_HYBRID = {
    **_HEAD,
    "num_hidden_layers": 4,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "layer_types": [_LINEAR, _LINEAR, _LINEAR, _FULL],
}
_MAMBA = {"mamba_d_state": 8, "mamba_d_conv": 4, "mamba_expand": 2}
_MAMBA2 = {**_MAMBA, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1}
_LATENT = {
    **_LLAMA,
    "num_key_value_heads": 2,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
_GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 2}

_TABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", _LLAMA),
    "llama_tied": ("LlamaConfig", {**_LLAMA, "tie_word_embeddings": True}),
    "qwen2": ("Qwen2Config", _LLAMA),
    "qwen3": ("Qwen3Config", _HEAD),
    "qwen3_5": ("Qwen3_5TextConfig", _HYBRID),
    "gemma": ("GemmaConfig", _HEAD),
    "gemma2": ("Gemma2Config", {**_WINDOWED, "query_pre_attn_scalar": 16}),
    "gemma3_text": ("Gemma3TextConfig", {**_WINDOWED, "query_pre_attn_scalar": 16}),
    "mistral_window": ("MistralConfig", {**_HEAD, "sliding_window": WINDOW}),
    "gpt_oss": ("GptOssConfig", {**_WINDOWED, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "mixtral": (
        "MixtralConfig",
        {**_LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2, "num_key_value_heads": 2},
    ),
    "qwen3_moe": ("Qwen3MoeConfig", {**_HEAD, **_EXPERTS}),
    "gpt2": ("GPT2Config", {**_GPT2, "n_positions": CONTEXT}),
    "lfm2": (
        "Lfm2Config",
        {**_LLAMA, "num_hidden_layers": 3, "layer_types": ["conv", _FULL, "conv"]},
    ),
    "mamba": ("MambaConfig", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}),
    "mamba2": (
        "Mamba2Config",
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "state_size": 8,
            "num_heads": 4,
            "head_dim": 16,
            "n_groups": 1,
            "chunk_size": 16,
        },
    ),
}
"""The families a release must handle: configuration class and sizes."""

_MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "phi": ("PhiConfig", _LLAMA),
    "phi3": ("Phi3Config", {**_LLAMA}),
    "phimoe": ("PhimoeConfig", {**_LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "olmo": ("OlmoConfig", _LLAMA),
    "olmo2": ("Olmo2Config", _LLAMA),
    "olmo3": (
        "Olmo3Config",
        {**_LLAMA, "sliding_window": WINDOW, "layer_types": [_SLIDING, _FULL]},
    ),
    "olmoe": ("OlmoeConfig", {**_LLAMA, "num_experts": 4, "num_experts_per_tok": 2}),
    "cohere": ("CohereConfig", {**_LLAMA, "logit_scale": 0.25}),
    "cohere2": ("Cohere2Config", {**_WINDOWED, "logit_scale": 0.25}),
    "granite": ("GraniteConfig", {**_LLAMA, "logits_scaling": 4.0, "residual_multiplier": 0.5}),
    "granitemoe": (
        "GraniteMoeConfig",
        {**_LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2, "logits_scaling": 4.0},
    ),
    "granitemoehybrid": (
        "GraniteMoeHybridConfig",
        {
            **_LLAMA,
            **_MAMBA2,
            "layer_types": ["mamba", "attention"],
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "shared_intermediate_size": 32,
            "logits_scaling": 4.0,
        },
    ),
    "smollm3": ("SmolLM3Config", {**_LLAMA}),
    "falcon": (
        "FalconConfig",
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
    ),
    "falcon_h1": ("FalconH1Config", {**_HEAD, **_MAMBA2, "mamba_d_ssm": 64}),
    "falcon_mamba": (
        "FalconMambaConfig",
        {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
    ),
    "jamba": (
        "JambaConfig",
        {
            **_LLAMA,
            **_MAMBA,
            "mamba_dt_rank": 4,
            "num_hidden_layers": 4,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "num_experts": 4,
            "use_mamba_kernels": False,
        },
    ),
    "bamba": ("BambaConfig", {**_LLAMA, **_MAMBA2, "attn_layer_indices": [1]}),
    "zamba2": (
        "Zamba2Config",
        {
            **_LLAMA,
            "num_key_value_heads": 2,
            "num_hidden_layers": 4,
            "mamba_d_state": 8,
            "mamba_ngroups": 1,
            "n_mamba_heads": 4,
            "chunk_size": 16,
            "layers_block_type": ["mamba", "mamba", "hybrid", "mamba"],
            "adapter_rank": 4,
        },
    ),
    "nemotron_h": (
        "NemotronHConfig",
        {
            **_HEAD,
            "ssm_state_size": 8,
            "mamba_num_heads": 4,
            "mamba_head_dim": 16,
            "n_groups": 1,
            "layers_block_type": ["mamba", "attention"],
        },
    ),
    "stablelm": ("StableLmConfig", _LLAMA),
    "starcoder2": ("Starcoder2Config", {**_LLAMA, "sliding_window": None}),
    "gpt_neox": (
        "GPTNeoXConfig",
        {key: value for key, value in _LLAMA.items() if key != "num_key_value_heads"},
    ),
    "gpt_neo": (
        "GPTNeoConfig",
        {
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 2,
            "attention_types": [[["global", "local"], 1]],
            "window_size": WINDOW,
            "max_position_embeddings": 512,
        },
    ),
    "gptj": ("GPTJConfig", {**_GPT2, "rotary_dim": 8, "n_positions": 512}),
    "codegen": ("CodeGenConfig", {"n_embd": 64, "n_layer": 2, "n_head": 4, "rotary_dim": 8}),
    "gpt_bigcode": ("GPTBigCodeConfig", {**_GPT2, "n_positions": 512}),
    "opt": (
        "OPTConfig",
        {
            "hidden_size": 32,
            "ffn_dim": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 512,
            "word_embed_proj_dim": 32,
        },
    ),
    "bloom": ("BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 2}),
    "mpt": ("MptConfig", {"d_model": 32, "n_layers": 2, "n_heads": 2, "max_seq_len": 512}),
    "rwkv": ("RwkvConfig", {"hidden_size": 32, "num_hidden_layers": 2, "context_length": 512}),
    "xlstm": ("xLSTMConfig", {"hidden_size": 32, "num_hidden_layers": 2, "num_heads": 2}),
    "deepseek_v2": ("DeepseekV2Config", {**_LATENT, "topk_method": "greedy"}),
    "deepseek_v3": ("DeepseekV3Config", _LATENT),
    "minicpm3": (
        "MiniCPM3Config",
        {key: value for key, value in _LATENT.items() if "expert" not in key},
    ),
    "glm": ("GlmConfig", {**_HEAD}),
    "glm4": ("Glm4Config", {**_HEAD}),
    "glm4_moe": (
        "Glm4MoeConfig",
        {
            **_HEAD,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "first_k_dense_replace": 1,
        },
    ),
    "llama4_text": (
        "Llama4TextConfig",
        {
            **_HEAD,
            "intermediate_size_mlp": 64,
            "num_local_experts": 4,
            "attention_chunk_size": WINDOW,
            "layer_types": ["chunked_attention", _FULL],
            "no_rope_layers": [1, 0],
            "moe_layers": [1],
        },
    ),
    "recurrent_gemma": (
        "RecurrentGemmaConfig",
        {
            **_HEAD,
            "num_hidden_layers": 3,
            "lru_width": 32,
            "attention_window_size": WINDOW,
            "block_types": ["recurrent", "recurrent", "attention"],
        },
    ),
    "nemotron": ("NemotronConfig", {**_HEAD}),
    "ministral": ("MinistralConfig", _WINDOWED),
    "ministral3": ("Ministral3Config", _HEAD),
    "gemma3n_text": (
        "Gemma3nTextConfig",
        {
            **_WINDOWED,
            "intermediate_size": [64, 64],
            "hidden_size_per_layer_input": 8,
            "num_kv_shared_layers": 0,
            "laurel_rank": 4,
            "altup_num_inputs": 2,
            "activation_sparsity_pattern": [0.0, 0.0],
        },
    ),
    "gemma4_text": (
        "Gemma4TextConfig",
        {
            **_WINDOWED,
            "global_head_dim": 16,
            "hidden_size_per_layer_input": 8,
            "num_kv_shared_layers": 0,
        },
    ),
    "vaultgemma": ("VaultGemmaConfig", {**_WINDOWED, "query_pre_attn_scalar": 16}),
    "qwen2_moe": (
        "Qwen2MoeConfig",
        {**_LLAMA, **_EXPERTS, "shared_expert_intermediate_size": 16},
    ),
    "qwen3_next": (
        "Qwen3NextConfig",
        {**_HYBRID, **_EXPERTS, "shared_expert_intermediate_size": 16},
    ),
    "qwen3_5_moe": (
        "Qwen3_5MoeTextConfig",
        {**_HYBRID, **_EXPERTS, "shared_expert_intermediate_size": 16},
    ),
    "minimax": (
        "MiniMaxConfig",
        {
            **_HEAD,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "layer_types": [_LINEAR, _FULL],
            "block_size": 16,
        },
    ),
    "ernie4_5": ("Ernie4_5Config", _HEAD),
    "ernie4_5_moe": (
        "Ernie4_5_MoeConfig",
        {**_LLAMA, "moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 16},
    ),
    "exaone4": ("Exaone4Config", _WINDOWED),
    "hunyuan_v1_dense": ("HunYuanDenseV1Config", _HEAD),
    "hunyuan_v1_moe": ("HunYuanMoEV1Config", {**_HEAD, "num_experts": 4, "moe_topk": 2}),
    "seed_oss": ("SeedOssConfig", _HEAD),
    "apertus": ("ApertusConfig", _LLAMA),
    "arcee": ("ArceeConfig", _LLAMA),
    "bitnet": ("BitNetConfig", _LLAMA),
    "helium": ("HeliumConfig", _HEAD),
    "dots1": (
        "Dots1Config",
        {
            **_HEAD,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "first_k_dense_replace": 1,
            "n_shared_experts": 1,
        },
    ),
    "nanochat": ("NanoChatConfig", _LLAMA),
    "diffllama": ("DiffLlamaConfig", {**_LLAMA, "num_key_value_heads": 2}),
    "doge": ("DogeConfig", _LLAMA),
    "dbrx": (
        "DbrxConfig",
        {
            "d_model": 32,
            "n_heads": 2,
            "n_layers": 2,
            "max_seq_len": 512,
            "ffn_config": {"ffn_hidden_size": 64, "moe_num_experts": 4, "moe_top_k": 2},
            "attn_config": {"kv_n_heads": 1, "rope_theta": 10000.0, "clip_qkv": 8.0},
        },
    ),
    "jetmoe": (
        "JetMoeConfig",
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_key_value_heads": 1,
            "kv_channels": 16,
            "intermediate_size": 64,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
        },
    ),
    "persimmon": ("PersimmonConfig", _LLAMA),
    "lfm2_moe": (
        "Lfm2MoeConfig",
        {
            **_LLAMA,
            **_EXPERTS,
            "num_hidden_layers": 3,
            "num_dense_layers": 1,
            "layer_types": ["conv", _FULL, "conv"],
        },
    ),
    "kimi_linear": (
        "KimiLinearConfig",
        {**_LATENT, "layer_types": [_LINEAR, _FULL], "n_shared_experts": 1},
    ),
    "olmo_hybrid": (
        "OlmoHybridConfig",
        {**_HYBRID, "num_key_value_heads": 2},
    ),
    "minimax_m2": (
        "MiniMaxM2Config",
        {**_HEAD, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "modernbert_decoder": (
        "ModernBertDecoderConfig",
        {
            **{key: value for key, value in _LLAMA.items() if key != "num_key_value_heads"},
            "local_attention": WINDOW,
            "layer_types": [_SLIDING, _FULL],
            "bos_token_id": 0,
            "cls_token_id": 0,
            "sep_token_id": 0,
        },
    ),
    "youtu": ("YoutuConfig", {k: v for k, v in _LATENT.items() if "expert" not in k}),
    "biogpt": (
        "BioGptConfig",
        {key: value for key, value in _LLAMA.items() if key != "num_key_value_heads"},
    ),
    "xglm": (
        "XGLMConfig",
        {"d_model": 32, "ffn_dim": 64, "num_layers": 2, "attention_heads": 2},
    ),
}
"""Families beyond that list, tried because somebody will."""


@cache
def tokenizer() -> Any:
    """The seed's."""
    from alive.engines.models import load_tokenizer

    return load_tokenizer("seed")


def _ids() -> dict[str, Any]:
    words = tokenizer()
    return {
        "bos_token_id": None,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }


def _plain(config_name: str, sizes: dict[str, Any], seed: int = 0) -> Any:
    import transformers

    ids = _ids()
    config = getattr(transformers, config_name)(
        **{"vocab_size": len(tokenizer()), **ids, "tie_word_embeddings": False, **sizes}
    )
    return _built(config, seed)


def _gemma3(seed: int = 0) -> Any:
    """With a vision tower: the text model's configuration is nested."""
    from transformers import Gemma3Config, Gemma3TextConfig, SiglipVisionConfig

    ids = _ids()
    text = Gemma3TextConfig(
        vocab_size=len(tokenizer()), query_pre_attn_scalar=16, **{**_WINDOWED, **ids}
    )
    vision = SiglipVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
    )
    return _built(
        Gemma3Config(
            text_config=text.to_dict(), vision_config=vision.to_dict(), mm_tokens_per_image=4
        ),
        seed,
    )


def _qwen3_5_vision(seed: int = 0) -> Any:
    """As Qwen publishes it: for images too."""
    from transformers import Qwen3_5Config

    ids = _ids()
    return _built(
        Qwen3_5Config(
            text_config={"vocab_size": len(tokenizer()), **_HYBRID, **ids},
            vision_config={
                "depth": 1,
                "hidden_size": 16,
                "intermediate_size": 32,
                "num_heads": 2,
                "out_hidden_size": 32,
            },
        ),
        seed,
    )


CORE: dict[str, Callable[..., Any]] = {
    **{name: partial(_plain, *row) for name, row in _TABLE.items()},
    "gemma3": _gemma3,
    "qwen3_5_vision": _qwen3_5_vision,
}
"""Builders of the families a release must handle."""

FAMILIES: dict[str, Callable[..., Any]] = {
    **CORE,
    **{name: partial(_plain, *row) for name, row in _MORE.items()},
}
"""Builders of all; each takes a seed."""


def build(name: str, seed: int = 0) -> tuple[Any, Any]:
    """Returns a family's model, in float32 and evaluation mode, and the tokenizer."""
    return FAMILIES[name](seed=seed), tokenizer()


def save(name: str, folder: Path, seed: int = 0) -> Path:
    """Writes a family as a model folder."""
    model, words = build(name, seed)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def _built(config: Any, seed: int) -> Any:
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config).float().eval()
        _enlarge(model)
    return model


@torch.no_grad()
def _enlarge(model: Any) -> None:
    """Draws matrices at gain 1 and biases off zero, then spreads the logits."""
    head = model.get_output_embeddings().weight
    for name, weight in model.named_parameters():
        if weight.dim() >= 2 and "conv" not in name and "A_log" not in name:
            weight.normal_(std=1.0 if weight is head else weight.shape[-1] ** -0.5)
        elif name.endswith(".bias") and "norm" not in name:
            weight.add_(torch.randn_like(weight), alpha=0.1)
    ids = torch.arange(24)[None] % model.get_input_embeddings().weight.shape[0]
    for _ in range(3):  # a soft cap makes the logits less than linear in the head
        head.mul_(_SPREAD / model(input_ids=ids, use_cache=False).logits.std(-1).mean())
