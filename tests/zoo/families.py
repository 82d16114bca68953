"""Tiny random models of the architecture families people train, as transformers builds them.

Every one has the seed's tokenizer, a residual stream of 32 and two to six layers, and weights large
enough for the next-token distribution to be far from flat: a wrong position, mask or state shows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import sizes
import sizes_more
import torch

_SPREAD = 2.0
"""Standard deviation of a family's logits over the vocabulary, in nats."""


@cache
def tokenizer() -> Any:
    """The seed's."""
    from alive.engines.models import load_tokenizer

    return load_tokenizer("seed")


def vocabulary() -> int:
    """Tokens that a model embeds: more than the tokenizer has, as in most published models."""
    return len(tokenizer()) + 8


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
        **{"vocab_size": vocabulary(), **ids, "tie_word_embeddings": False, **sizes}
    )
    return _built(config, seed)


def _gemma3(seed: int = 0) -> Any:
    """With a vision tower: the text model's configuration is nested."""
    from transformers import Gemma3Config, Gemma3TextConfig, SiglipVisionConfig

    ids = _ids()
    text = Gemma3TextConfig(
        vocab_size=vocabulary(), query_pre_attn_scalar=16, **{**sizes.WINDOWED, **ids}
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
            text_config={"vocab_size": vocabulary(), **sizes.HYBRID, **ids},
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
    **{name: partial(_plain, *row) for name, row in sizes.CORE.items()},
    "gemma3": _gemma3,
    "qwen3_5_vision": _qwen3_5_vision,
}
"""Builders of the families a release must handle."""

FAMILIES: dict[str, Callable[..., Any]] = {
    **CORE,
    **{name: partial(_plain, *row) for name, row in sizes_more.MORE.items()},
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
