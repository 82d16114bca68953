"""A forward pass of the Llama kind, in about half of the operations that transformers takes.

A pass with few tokens waits for its operations to be launched, and one with many for the memory
that each reads and writes. The modules, and so the weights, are the model's own; what stands
between them is written out once more here: norms in one operation, rotations in three, the cast to
the compute type once for all that read it, and one mask for all layers. Whoever builds it is told
whether it agrees with the model itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers.cache_utils import DynamicCache

from alive.engines.beginning import Beginning
from alive.engines.lean_layers import Layer, Pass, normed
from alive.engines.models import base_of
from alive.engines.refusals import FAULTS
from alive.engines.unpadded import Unpadded
from alive.learn.head import decoder_of

__all__ = ["LeanDecoder", "LeanModel", "LeanOutput", "lean_decoder"]

_FAMILIES = {"llama", "mistral", "qwen2", "qwen3"}
"""Model types whose decoder layers are those below."""

_ROTATIONS = {"default", "linear", "llama3", "yarn"}
"""Kinds of rotary embedding whose frequencies do not depend on how long a text is."""

_ROUNDING = {torch.float32: 1e-4, torch.bfloat16: 0.05}
"""Share by which logits may differ from the model's own, by their norms. In bfloat16 transformers'
own two ways of attention differ by 0.02."""


@dataclass(frozen=True, slots=True)
class LeanOutput:
    """What a pass returns, named as transformers names it.

    Attributes:
        last_hidden_state: [B, T, H].
        past_key_values: The cache, None where none was asked for.
        logits: [B, T', V]; None of a decoder without its head.
    """

    last_hidden_state: Tensor
    past_key_values: Any
    logits: Any = None


class LeanDecoder:
    """The part of a model that ends in hidden states; is called as transformers' own."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        """Takes hold of a model's modules.

        Args:
            model: A causal LM of one of the families, plain or in PEFT's wrapper.
            dtype: What products are computed in.
        """
        base, decoder = base_of(model), decoder_of(model)
        config = base.config
        self._decoder, self._dtype, self._epsilon = decoder, dtype, config.rms_norm_eps
        width = decoder.layers[0].self_attn.head_dim
        heads = config.num_attention_heads, config.num_key_value_heads, width
        self._layers = [
            Layer(layer, at, heads, self._epsilon) for at, layer in enumerate(decoder.layers)
        ]
        self._rotary, self._recomputes = decoder.rotary_emb, False

    @contextmanager
    def recomputed(self) -> Iterator[None]:
        """While its block runs, a layer keeps its input alone for the backward pass."""
        self._recomputes = True
        try:
            yield
        finally:
            self._recomputes = False

    def beginning(self) -> Beginning:
        """An empty cache for what several rows of a pass of learning begin with."""
        return Beginning()

    def __call__(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool = False,
        real: Tensor | None = None,
    ) -> LeanOutput:
        """Encodes T tokens of B rows.

        Args:
            input_ids: [B, T].
            attention_mask: [B, L], 1 on real tokens of the cache and the T new ones; or which keys
                are seen, [B, 1, T, L], True where they are. None: all.
            position_ids: [B or 1, T]; None: as they stand.
            past_key_values: A cache that begins each row.
            use_cache: Whether one is returned.
            real: [B, T], False where a state is of no use, and no token behind it attends to it;
                such states are zero.
        """
        cache = past_key_values
        if cache is None and use_cache:
            cache = DynamicCache()
        begun = 0 if past_key_values is None else past_key_values.get_seq_length()
        tokens = input_ids.shape[1]
        if position_ids is None:
            position_ids = torch.arange(begun, begun + tokens, device=input_ids.device)[None]
        seen = _seen(attention_mask, tokens, begun, input_ids.device)
        unpadded = None if real is None else Unpadded.of(real)
        if unpadded is not None:
            position_ids = unpadded.line(position_ids.expand_as(input_ids))
            input_ids = unpadded.line(input_ids)
        states = self._decoder.embed_tokens(input_ids)
        shared = Pass(*self._turns(position_ids), seen, cache, unpadded)
        for layer in self._layers:
            if self._recomputes:
                states = checkpoint(layer, states, shared, self._dtype, use_reentrant=False)
            else:
                states = layer(states, shared, self._dtype)
        states = normed(states, self._decoder.norm.weight, self._epsilon)
        return LeanOutput(states if unpadded is None else unpadded.laid(states), cache)

    def _turns(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines of positions [B, T], in float32."""
        angles = positions[:, :, None, None].float() * self._rotary.inv_freq
        cosines, sines = angles.cos(), angles.sin()
        scale = self._rotary.attention_scaling
        if scale != 1:
            cosines, sines = cosines * scale, sines * scale
        return torch.cat((cosines, cosines), -1), torch.cat((-sines, sines), -1)


class LeanModel:
    """A decoder with its head, for whoever samples; is called as transformers' own.

    Attributes:
        device: Of its weights.
        config: The model's.
    """

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        """As ``LeanDecoder``."""
        base = base_of(model)
        self.device, self.config = base.device, base.config
        self._base, self._decoder = base, LeanDecoder(model, dtype)
        self._head, self._dtype = base.get_output_embeddings(), dtype

    def get_input_embeddings(self) -> Any:
        """The model's own."""
        return self._base.get_input_embeddings()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool = False,
        logits_to_keep: int = 0,
    ) -> LeanOutput:
        """As ``LeanDecoder``, with logits of the last ``logits_to_keep`` tokens; 0: of all."""
        out = self._decoder(input_ids, attention_mask, position_ids, past_key_values, use_cache)
        states = out.last_hidden_state[:, -logits_to_keep:].to(self._dtype)
        return LeanOutput(out.last_hidden_state, out.past_key_values, self._head(states))

    __call__ = forward


def lean_decoder(model: Any, dtype: torch.dtype) -> LeanDecoder | None:
    """The lean pass of a model that agrees with its own.

    Args:
        model: A transformers causal LM, plain or in PEFT's wrapper.
        dtype: What products are computed in; the caller has entered autocast for it.

    Returns:
        None where its family is another, or the two differ.
    """
    config = base_of(model).config
    if config.model_type not in _FAMILIES or not _plain(config):
        return None
    decoder = decoder_of(model)
    if getattr(decoder.rotary_emb, "rope_type", "") not in _ROTATIONS:
        return None
    size = model.get_input_embeddings().weight.shape[0]
    ids = (torch.arange(24, device=model.device) * 7 % size).view(2, 12)
    with torch.no_grad():
        try:
            found = LeanModel(model, dtype)(ids).logits.float()
        except FAULTS:  # a layer of the family that has something else, or less, inside
            return None
        expected = model(input_ids=ids, use_cache=False).logits.float()
    # Of the whole: of so many numbers some are far off wherever the order of sums differs.
    close = (found - expected).norm() <= _ROUNDING[dtype] * expected.norm()
    return LeanDecoder(model, dtype) if close else None


def _plain(config: Any) -> bool:
    """Whether all layers attend to all that came before, and open their gates by SiLU."""
    return getattr(config, "sliding_window", None) is None and config.hidden_act == "silu"


def _seen(mask: Tensor | None, tokens: int, begun: int, device: torch.device) -> Tensor | None:
    """Which keys each of T new tokens attends to; None where it is all before it."""
    if mask is not None and mask.dim() == 4:
        return mask
    if tokens == 1:
        return None if mask is None else mask.bool()[:, None, None]
    if begun == 0 and (mask is None or (device.type == "cpu" and bool(mask.all()))):
        return None
    keys = torch.arange(begun + tokens, device=device)
    places = keys[begun:, None]
    causal = keys <= places
    if mask is None:
        return causal[None, None]
    # What is padding sees itself: a row of scores without any would be no number.
    return (causal & mask.bool()[:, None, None]) | (keys == places)
