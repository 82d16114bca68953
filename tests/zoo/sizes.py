"""Sizes of the zoo's families: a configuration class and its arguments."""

from __future__ import annotations

from typing import Any

WINDOW = 16
"""Tokens that a sliding-window layer of the zoo sees."""

CONTEXT = 64
"""Positions that the zoo's GPT-2 has."""

SLIDING, FULL, LINEAR = "sliding_attention", "full_attention", "linear_attention"

LLAMA = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 2048,
}
HEAD = {**LLAMA, "head_dim": 16}
WINDOWED = {**HEAD, "sliding_window": WINDOW, "layer_types": [SLIDING, FULL]}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
HYBRID = {
    **HEAD,
    "num_hidden_layers": 4,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "layer_types": [LINEAR, LINEAR, LINEAR, FULL],
}
MAMBA = {"mamba_d_state": 8, "mamba_d_conv": 4, "mamba_expand": 2}
MAMBA2 = {**MAMBA, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1}
LATENT = {
    **LLAMA,
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
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 2}

CORE: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", LLAMA),
    "llama_tied": ("LlamaConfig", {**LLAMA, "tie_word_embeddings": True}),
    "qwen2": ("Qwen2Config", LLAMA),
    "qwen3": ("Qwen3Config", HEAD),
    "qwen3_5": ("Qwen3_5TextConfig", HYBRID),
    "gemma": ("GemmaConfig", HEAD),
    "gemma2": ("Gemma2Config", {**WINDOWED, "query_pre_attn_scalar": 16}),
    "gemma3_text": ("Gemma3TextConfig", {**WINDOWED, "query_pre_attn_scalar": 16}),
    "mistral_window": ("MistralConfig", {**HEAD, "sliding_window": WINDOW}),
    "gpt_oss": ("GptOssConfig", {**WINDOWED, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "mixtral": (
        "MixtralConfig",
        {**LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2, "num_key_value_heads": 2},
    ),
    "qwen3_moe": ("Qwen3MoeConfig", {**HEAD, **EXPERTS}),
    "gpt2": ("GPT2Config", {**GPT2, "n_positions": CONTEXT}),
    "lfm2": (
        "Lfm2Config",
        {**LLAMA, "num_hidden_layers": 3, "layer_types": ["conv", FULL, "conv"]},
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
"""The families a release must handle."""
