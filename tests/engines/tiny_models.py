"""Tiny random models and a word-level tokenizer, saved as transformers folders."""

from pathlib import Path
from typing import Any

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
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
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
