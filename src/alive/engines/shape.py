"""How big a model is, without its weights."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

__all__ = ["KNOWN", "LayerCache", "ModelShape", "free_gpu_memory", "gpu_count", "read_shape"]


@dataclass(frozen=True, slots=True)
class LayerCache:
    """What decoding keeps of one layer, for one row.

    Attributes:
        per_token: Numbers a token adds: its keys and values.
        window: Most tokens that are kept; None keeps all.
        fixed: Numbers of a recurrent state, whatever the length.
    """

    per_token: int
    window: int | None = None
    fixed: int = 0

    def numbers(self, tokens: int) -> int:
        """Numbers held after ``tokens`` tokens."""
        kept = tokens if self.window is None else min(tokens, self.window)
        return self.fixed + self.per_token * kept


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The sizes a cost estimate needs.

    Attributes:
        parameters: All weights, shared ones counted once.
        layers: Decoder layers.
        hidden: Width of the residual stream.
        intermediate: Width inside the feed-forward block; of a mixture, what one token passes.
        heads: Query heads; 0 without attention.
        kv_heads: Key and value heads.
        head_dim: Width of a head.
        vocabulary: Tokens.
        tied: Whether the head is the embedding.
        adapted: Adapter weights a rank, counted on the model; 0 where they were not counted.
        caches: By layer; empty for full attention in every layer.
    """

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool = False
    adapted: int = 0
    caches: tuple[LayerCache, ...] = ()

    @property
    def read_matrices(self) -> int:
        """Weights of all matrices that a token is multiplied with, a tied head among them."""
        embedding = self.vocabulary * self.hidden
        return self.parameters - (0 if self.tied else embedding)

    def lora_parameters(self, rank: int) -> int:
        """Weights of adapters of a rank; where they were not counted, those of a Llama.

        A Llama has them on every linear layer but the head: rank x (in + out) each.
        """
        if self.adapted:
            return rank * self.adapted
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

    def cache_bytes(self, tokens: int, width: int) -> int:
        """Bytes the cache of one row holds after ``tokens`` tokens, at ``width`` bytes a number."""
        full = LayerCache(2 * self.kv_heads * self.head_dim)
        caches = self.caches or (full,) * self.layers
        return width * sum(layer.numbers(tokens) for layer in caches)


KNOWN: dict[str, ModelShape] = {
    # config.json of the published model; 7,615,616,512 is the count on its model card.
    "Qwen/Qwen2.5-7B": ModelShape(7_615_616_512, 28, 3584, 18944, 28, 4, 128, 152_064),
    # config.json of the published models; 0.49 and 1.54 billion on their cards.
    "Qwen/Qwen2.5-0.5B-Instruct": ModelShape(
        494_032_768, 24, 896, 4864, 14, 2, 64, 151_936, tied=True
    ),
    "Qwen/Qwen2.5-1.5B-Instruct": ModelShape(
        1_543_714_304, 28, 1536, 8960, 12, 2, 128, 151_936, tied=True
    ),
    # config.json of HuggingFaceTB/SmolLM2-135M-Instruct.
    "smollm2": ModelShape(134_515_008, 30, 576, 1536, 9, 3, 64, 49_152, tied=True),
}
"""Models whose shape is known without a file or a network: the presets'."""


def read_shape(id: str) -> ModelShape:
    """Returns a model's shape from its ``config.json``; the weights are never read.

    Args:
        id: As ``alive.engines.names.resolve`` takes it.

    Raises:
        ModelError: There is no such model here, it cannot be reached, or it is quantised.
    """
    if id in KNOWN:
        return KNOWN[id]
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from alive.engines.names import resolve
    from alive.engines.quiet import quiet_transformers
    from alive.engines.refusals import FAULTS, check_quantised, explained, first_line
    from alive.errors import ModelError

    where = resolve(id)
    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(where, trust_remote_code=False)
            check_quantised(config)
            with torch.device("meta"):
                build: Any = AutoModelForCausalLM.from_config
                # In this type the kernels for experts also know the shapes of what they return.
                model = build(config, trust_remote_code=False, dtype=torch.bfloat16)
    except FAULTS as error:
        raise ModelError(
            f"{id}: its size cannot be read ({first_line(error)}); name a folder with config.json, "
            "or a hub id that is cached or can be reached"
        ) from error
    with explained(id):
        return _measured(model.eval())


def _measured(model: Any) -> ModelShape:
    """Reads the shape off a model on the meta device, which holds no numbers."""
    # A model for images too nests the sizes of its text model.
    config = model.config.get_text_config(decoder=True)
    hidden = _size(config, "hidden_size")
    heads = _size(config, "num_attention_heads")
    head = model.get_output_embeddings()
    return ModelShape(
        parameters=sum(weight.numel() for weight in model.parameters()),
        layers=_size(config, "num_hidden_layers"),
        hidden=hidden,
        intermediate=_intermediate(config) or 4 * hidden,
        heads=heads,
        kv_heads=_size(config, "num_key_value_heads") or heads,
        head_dim=heads and (_size(config, "head_dim") or hidden // heads),
        vocabulary=_size(config, "vocab_size"),
        tied=head is not None and head.weight is model.get_input_embeddings().weight,
        caches=_caches(model),
        adapted=_adapted(model),
    )


def _size(config: Any, *names: str) -> int:
    """The first of these that a configuration has; of a list (one a layer) the largest; else 0."""
    for name in names:
        size = getattr(config, name, None)
        if size:
            return int(max(size) if isinstance(size, list | tuple) else size)
    return 0


def _intermediate(config: Any) -> int:
    wide = _size(config, "intermediate_size", "ffn_dim", "n_inner")
    chosen = _size(config, "num_experts_per_tok", "moe_k", "moe_topk")
    return chosen * (_size(config, "moe_intermediate_size") or wide) or wide


def _caches(model: Any) -> tuple[LayerCache, ...]:
    """What a pass of one token leaves in each layer's cache; empty where none can be made."""
    import torch

    ids = torch.zeros((1, 1), dtype=torch.long, device="meta")
    try:
        with torch.inference_mode():
            output = model(input_ids=ids, use_cache=True)
    except (RuntimeError, TypeError, ValueError):
        # A pass that looks at numbers (GPT-2 at its mask) cannot be made without any.
        return ()
    cache = output.get("past_key_values") or output.get("cache_params")
    return tuple(_layer_cache(layer) for layer in getattr(cache, "layers", ()))


def _layer_cache(layer: Any) -> LayerCache:
    grown = [getattr(layer, "keys", None), getattr(layer, "values", None)]
    states = [
        state
        for name in ("conv_states", "recurrent_states")
        for state in getattr(layer, name, {}).values()
    ]
    return LayerCache(
        per_token=sum(tensor.numel() for tensor in grown if tensor is not None),
        window=getattr(layer, "sliding_window", None),
        fixed=sum(tensor.numel() for tensor in states if tensor is not None),
    )


def _adapted(model: Any) -> int:
    """Counts the weights of adapters of rank 1 by adding them; 0 where that cannot be done."""
    from alive.engines.lora import with_lora
    from alive.errors import ModelError

    if importlib.util.find_spec("peft") is None:
        return 0
    try:
        adapted = with_lora(model, 1, 1.0)
    except ModelError:
        return 0
    return sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)


def free_gpu_memory() -> int | None:
    """Returns the bytes free on the GPU a policy would be loaded on; None without one."""
    import torch

    return int(torch.cuda.mem_get_info()[0]) if torch.cuda.is_available() else None


def gpu_count() -> int:
    """Returns how many GPUs PyTorch sees."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
