"""Tiny random policies: real torch models that fit in a blink."""

from __future__ import annotations

import asyncio
from typing import Any

import torch

from alive import aio
from alive.config import LearnConfig
from alive.protocols import Request
from alive.types import Role, Rollout, TrainingRecord


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
        max_position_embeddings=1024,
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


def built(config: Any, seed: int = 0) -> Any:
    """A model of any configuration, in float32."""
    from transformers import AutoModelForCausalLM

    config.get_text_config(decoder=True).initializer_range = 0.3
    make: Any = AutoModelForCausalLM.from_config
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make(config).eval()


def policy(
    tokenizer: Any,
    seed: int = 0,
    learn: LearnConfig | None = None,
    rank: int = 0,
    dtype: Any = "float32",
    model: Any = None,
    choices: dict[str, Any] | None = None,
) -> Any:
    """A local policy around a tiny Llama or the given model; ``rank`` adds LoRA adapters."""
    from alive.engines.local import LocalPolicy
    from alive.engines.lora import with_lora
    from alive.prompts import make_renderer

    model = llama(len(tokenizer), seed) if model is None else model
    if rank:
        model = with_lora(model, rank, 8.0, seed)
    renderer = make_renderer(tokenizer)
    learn = learn or LearnConfig(learning_rate=1e-2)
    return LocalPolicy(model, tokenizer, renderer, learn, dtype=dtype, base="tiny", choices=choices)


def sample(sampler: Any, *requests: Request) -> list[list[Rollout]]:
    """The rollouts of requests that are made at the same time."""

    async def together() -> list[list[Rollout]]:
        made = await asyncio.gather(*(sampler.sample(request) for request in requests))
        return list(made)

    return aio.run(together())


def record(
    prompt: tuple[int, ...], completion: tuple[int, ...], weight: float = 1.0, role: Role = "solve"
) -> TrainingRecord:
    return TrainingRecord(role, prompt, completion, weight, "d")


def _seeded(cls: Any, config: Any, seed: int) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return cls(config).eval()
