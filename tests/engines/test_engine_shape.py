"""Sizes that are read off a configuration, worked out by hand."""

from pathlib import Path

import pytest
from transformers import (
    DeepseekV3Config,
    Gemma3Config,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
)

from alive.engines.shape import KNOWN, LayerCache, ModelShape, read_shape

LLAMA = {
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def test_llama(tmp_path: Path) -> None:
    LlamaConfig(**LLAMA, tie_word_embeddings=True).save_pretrained(tmp_path)
    shape = read_shape(str(tmp_path))

    # Queries and output 2 x 32 x 32, keys and values 2 x 32 x 16, feed-forward 3 x 32 x 64, two
    # norms of 32; then the embedding and the last norm.
    assert shape.parameters == 2 * (2048 + 1024 + 6144 + 64) + 3200 + 32
    # A rank is in + out: 2 x 64 + 2 x 48 + 3 x 96 in each layer.
    assert shape.adapted == 2 * (128 + 96 + 288)
    assert shape.caches == (LayerCache(32), LayerCache(32))
    assert (shape.tied, shape.heads, shape.kv_heads, shape.head_dim) == (True, 4, 2, 8)
    uncounted = ModelShape(shape.parameters, 2, 32, 64, 4, 2, 8, 100)
    assert uncounted.lora_parameters(3) == shape.lora_parameters(3) == 3 * 1024
    assert uncounted.cache_bytes(10, 4) == shape.cache_bytes(10, 4) == 2 * 32 * 10 * 4


def test_a_window_is_the_most_that_is_kept(tmp_path: Path) -> None:
    MistralConfig(**LLAMA, sliding_window=16).save_pretrained(tmp_path)
    shape = read_shape(str(tmp_path))

    assert shape.cache_bytes(10, 2) == 2 * 32 * 10 * 2
    assert shape.cache_bytes(1000, 2) == 2 * 32 * 16 * 2


def test_a_recurrent_state_does_not_grow(tmp_path: Path) -> None:
    MambaConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=2, state_size=8, conv_kernel=4
    ).save_pretrained(tmp_path)
    shape = read_shape(str(tmp_path))

    # 64 channels, each with the last 4 inputs of its convolution and 8 numbers of state.
    assert shape.cache_bytes(1, 4) == shape.cache_bytes(9999, 4) == 2 * 64 * (4 + 8) * 4
    assert (shape.heads, shape.kv_heads, shape.head_dim, shape.layers) == (0, 0, 0, 2)


def test_compressed_keys_count_as_they_are_kept(tmp_path: Path) -> None:
    DeepseekV3Config(
        **{**LLAMA, "num_key_value_heads": 4},
        q_lora_rank=16,
        kv_lora_rank=16,
        qk_rope_head_dim=8,
        qk_nope_head_dim=4,
        v_head_dim=10,
        n_routed_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=24,
        first_k_dense_replace=1,
        n_group=1,
        topk_group=1,
    ).save_pretrained(tmp_path)

    shape = read_shape(str(tmp_path))

    # What all heads are expanded from, 16, and the rotated key they share, 8.
    assert shape.caches == (LayerCache(16 + 8),) * 2
    assert shape.intermediate == 2 * 24  # what one token passes


def test_adapters_on_experts_are_counted(tmp_path: Path) -> None:
    MixtralConfig(**LLAMA, num_local_experts=4, num_experts_per_tok=2).save_pretrained(tmp_path)
    shape = read_shape(str(tmp_path))

    attention = 128 + 96
    router = 32 + 4
    # PEFT gives the fused gate and up projection of each expert twice the rank.
    experts = 4 * (2 * (32 + 128) + (64 + 32))
    assert shape.lora_parameters(2) == 2 * 2 * (attention + router + experts)


def test_a_nested_configuration(tmp_path: Path) -> None:
    Gemma3Config(
        text_config={**LLAMA, "head_dim": 16, "sliding_window": 8},
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
        },
        mm_tokens_per_image=4,
    ).save_pretrained(tmp_path)
    shape = read_shape(str(tmp_path))

    assert (shape.layers, shape.hidden, shape.intermediate, shape.vocabulary) == (2, 32, 64, 100)
    assert (shape.heads, shape.kv_heads, shape.head_dim) == (4, 2, 16)
    assert [layer.per_token for layer in shape.caches] == [64, 64]


def test_other_names(tmp_path: Path) -> None:
    GPT2Config(vocab_size=100, n_embd=32, n_layer=3, n_head=2).save_pretrained(tmp_path)
    shape = read_shape(str(tmp_path))

    assert (shape.layers, shape.hidden, shape.intermediate) == (3, 32, 128)
    assert (shape.heads, shape.kv_heads, shape.head_dim) == (2, 2, 16)
    assert shape.cache_bytes(7, 4) == 3 * 2 * 32 * 7 * 4
    # c_attn 32 + 96, c_proj 64, c_fc and its way back 160 each.
    assert shape.lora_parameters(1) == 3 * (128 + 64 + 160 + 160)


@pytest.mark.parametrize("name", KNOWN)
def test_known_shapes_agree_with_themselves(name: str) -> None:
    shape = KNOWN[name]
    attention = 2 * shape.hidden * (shape.heads + shape.kv_heads) * shape.head_dim
    # Qwen2 has biases on queries, keys and values.
    biases = 0 if name == "smollm2" else (shape.heads + 2 * shape.kv_heads) * shape.head_dim
    layer = attention + biases + 3 * shape.hidden * shape.intermediate + 2 * shape.hidden
    embeddings = (1 if shape.tied else 2) * shape.vocabulary * shape.hidden
    assert shape.parameters == shape.layers * layer + embeddings + shape.hidden
