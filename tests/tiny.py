"""Tiny random policies: real torch models that fit in a blink."""

from __future__ import annotations

from typing import Any

import torch

from alive.config import LearnConfig
from alive.types import TrainingRecord


def llama(vocabulary: int = 32, seed: int = 0, layers: int = 2) -> Any:
    """A Llama in float32 with two query heads on one key head."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
        initializer_range=0.5,
    )
    return _seeded(LlamaForCausalLM, config, seed)


def gpt2(vocabulary: int = 32, seed: int = 0) -> Any:
    """A GPT-2: learned positions, so that a wrong position shows."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=vocabulary,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=64,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
        initializer_range=0.5,
    )
    return _seeded(GPT2LMHeadModel, config, seed)


def policy(tokenizer: Any, seed: int = 0, learn: LearnConfig | None = None, rank: int = 0) -> Any:
    """A local policy around a tiny Llama; ``rank`` adds LoRA adapters."""
    from alive.engines.local import LocalPolicy
    from alive.engines.lora import with_lora
    from alive.prompts import make_renderer

    model = llama(len(tokenizer), seed)
    if rank:
        model = with_lora(model, rank, 8.0, seed)
    renderer = make_renderer(tokenizer)
    return LocalPolicy(model, tokenizer, renderer, learn or LearnConfig(learning_rate=1e-2))


def record(
    prompt: tuple[int, ...], completion: tuple[int, ...], weight: float = 1.0, role: str = "solve"
) -> TrainingRecord:
    return TrainingRecord(role, prompt, completion, weight, "d")


def _seeded(cls: Any, config: Any, seed: int) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return cls(config).eval()
