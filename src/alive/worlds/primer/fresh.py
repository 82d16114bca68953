"""A new policy with random weights: the seed before it has read anything."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

__all__ = ["new_model", "use_threads"]


def use_threads(count: int) -> None:
    """Sets the number of CPU threads that torch sums with."""
    torch.set_num_threads(count)


def new_model(tokenizer: Any, *, hidden: int = 128, layers: int = 4, seed: int = 0) -> Any:
    """Returns a small Llama with random weights that do not depend on the process.

    Args:
        tokenizer: Its vocabulary and special tokens.
        hidden: Width, a multiple of 32 (the head size).
        layers: Depth.
        seed: Of the weights.
    """
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=hidden // 32,
        max_position_embeddings=1024,
        # Near 1/sqrt(width); the usual 0.02 started slower (docs/LOG.md, 5).
        initializer_range=0.06,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        use_cache=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        _place_numbers(model, tokenizer)
    return model.eval()


@torch.no_grad()
def _place_numbers(model: Any, tokenizer: Any) -> None:
    """Starts each number as the sum of its tens and its units, which are alike in all numbers."""
    weights = model.get_input_embeddings().weight
    tens, units = torch.randn(2, 10, weights.shape[1]) * model.config.initializer_range / 2**0.5
    for number in range(100):
        ids = tokenizer.encode(str(number), add_special_tokens=False)
        if len(ids) == 1:
            weights[ids[0]] = tens[number // 10] + units[number % 10]
