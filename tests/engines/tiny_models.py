"""Tiny random models and a word-level tokenizer, saved as transformers folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    BertConfig,
    BertLMHeadModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
)

SIZE = 32


def tokenizer() -> Any:
    words = ["<unk>", "<s>", "</s>", *(f"w{i}" for i in range(SIZE - 3))]
    core = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def llama(seed: int = 0) -> Any:
    return _seeded(LlamaForCausalLM, LlamaConfig(**_llama_shape(), tie_word_embeddings=True), seed)


def qwen2(seed: int = 0) -> Any:
    return _seeded(
        Qwen2ForCausalLM, Qwen2Config(**{**_llama_shape(), "vocab_size": 2 * SIZE}), seed
    )


def gpt2(seed: int = 0) -> Any:
    shape = GPT2Config(vocab_size=SIZE, n_embd=16, n_layer=2, n_head=2, n_positions=64)
    return _seeded(GPT2LMHeadModel, shape, seed)


def bert(seed: int = 0) -> Any:
    shape = BertConfig(
        vocab_size=SIZE,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    return _seeded(BertLMHeadModel, shape, seed)


def save(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def _llama_shape() -> dict[str, int]:
    return {
        "vocab_size": SIZE,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 64,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def _seeded(cls: Any, config: Any, seed: int) -> Any:
    torch.manual_seed(seed)
    return cls(config).eval()


def _wide(size: int, **shape: Any) -> dict[str, Any]:
    sizes = {
        "vocab_size": size,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": 0,
    }
    return sizes | shape


_ROPES: dict[str, dict[str, Any]] = {
    "linear": {"factor": 2.0},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 64},
    "dynamic": {"factor": 2.0},
}


def roped(kind: str, size: int = 2 * SIZE) -> Any:
    """A Llama whose rotations are of another kind."""
    rope = {"rope_type": kind, "rope_theta": 1e4, **_ROPES[kind]}
    return stirred(LlamaConfig(**_wide(size), rope_parameters=rope))


LEAN: dict[str, Callable[..., Any]] = {
    "llama": lambda size=2 * SIZE: stirred(LlamaConfig(**_wide(size))),
    "llama, a key for each query": lambda size=2 * SIZE: stirred(
        LlamaConfig(**_wide(size, num_key_value_heads=4, tie_word_embeddings=True))
    ),
    "llama with biases": lambda size=2 * SIZE: stirred(
        LlamaConfig(**_wide(size), attention_bias=True, mlp_bias=True)
    ),
    "qwen2": lambda size=2 * SIZE: stirred(Qwen2Config(**_wide(size, tie_word_embeddings=True))),
    "qwen3": lambda size=2 * SIZE: stirred(Qwen3Config(**_wide(size), head_dim=16)),
    "mistral": lambda size=2 * SIZE: stirred(MistralConfig(**_wide(size), sliding_window=None)),
}
"""Builders, of a number of tokens, of families that have a lean pass."""


def gelu(size: int = SIZE) -> Any:
    """A Llama that shares keys, and is not of the kind that has a lean pass."""
    config = tiny.llama(size).config
    config.hidden_act = "gelu"
    return tiny.built(config)


def stirred(config: Any) -> Any:
    """A model none of whose norms and biases do nothing, as they do before any training."""
    model = tiny.built(config)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight += 0.3 * torch.randn(weight.shape, generator=generator)
    return model
