"""How big a model is, without its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The sizes a cost estimate needs.

    Attributes:
        parameters: All weights, shared ones counted once.
        layers: Decoder layers.
        hidden: Width of the residual stream.
        intermediate: Width inside the feed-forward block.
        heads: Query heads.
        kv_heads: Key and value heads.
        head_dim: Width of a head.
        vocabulary: Tokens.
    """

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int

    def lora_parameters(self, rank: int) -> int:
        """Weights of adapters on every linear layer but the head: rank x (in + out) each."""
        attention = self.heads * self.head_dim
        keys = self.kv_heads * self.head_dim
        widths = 2 * (self.hidden + attention) + 2 * (self.hidden + keys)
        widths += 3 * (self.hidden + self.intermediate)
        return rank * self.layers * widths

    def activation_numbers(self) -> int:
        """Numbers a decoder keeps for the backward pass of one token, logits not included.

        Inferred by counting what a Llama block saves when attention is fused: norms and residuals
        8 hidden, rotated and unrotated queries, keys and values 4 heads, feed-forward 4 wide.
        """
        attention = 4 * (self.heads + self.kv_heads) * self.head_dim
        return self.layers * (8 * self.hidden + attention + 4 * self.intermediate)

    def cache_numbers(self) -> int:
        """Numbers the key-value cache holds for one token."""
        return 2 * self.layers * self.kv_heads * self.head_dim


KNOWN: dict[str, ModelShape] = {
    # config.json of the published model; 7,615,616,512 is the count on its model card.
    "Qwen/Qwen2.5-7B": ModelShape(7_615_616_512, 28, 3584, 18944, 28, 4, 128, 152_064),
    # config.json of HuggingFaceTB/SmolLM2-135M-Instruct; embeddings are tied.
    "smollm2": ModelShape(134_515_008, 30, 576, 1536, 9, 3, 64, 49_152),
}
"""Models whose shape is known without a file or a network: the presets'."""


def read_shape(id: str) -> ModelShape:
    """Returns a model's shape from its ``config.json``; the weights are never read.

    Args:
        id: As ``alive.engines.models.resolve`` takes it.

    Raises:
        ModelError: There is no such model here, or it cannot be reached.
    """
    if id in KNOWN:
        return KNOWN[id]
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from alive.engines.models import resolve
    from alive.errors import ModelError

    where = resolve(id)
    try:
        config = AutoConfig.from_pretrained(where, trust_remote_code=False)
        with torch.device("meta"):
            build: Any = AutoModelForCausalLM.from_config
            model = build(config, trust_remote_code=False)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{id}: its size cannot be read ({reason}); name a folder with config.json, or a hub "
            "id that is cached or can be reached"
        ) from error
    heads = config.num_attention_heads
    hidden = config.hidden_size
    return ModelShape(
        parameters=sum(weight.numel() for weight in model.parameters()),
        layers=config.num_hidden_layers,
        hidden=hidden,
        intermediate=getattr(config, "intermediate_size", None) or 4 * hidden,
        heads=heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_dim=getattr(config, "head_dim", None) or hidden // heads,
        vocabulary=config.vocab_size,
    )


def free_gpu_memory() -> int | None:
    """Returns the bytes free on the GPU a policy would be loaded on; None without one."""
    import torch

    return int(torch.cuda.mem_get_info()[0]) if torch.cuda.is_available() else None
