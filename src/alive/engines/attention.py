"""Attention of one new token over a cache, where several queries share a key.

transformers puts the queries that share a key side by side where there is a mask. Without one, as
where no prompt is padded, it leaves that to torch, whose CPU kernel then takes ten times as long.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from alive.engines.models import base_of

__all__ = ["group_queries"]

_NAME = "alive_grouped"


def group_queries(model: Any) -> None:
    """Lets a model that is sampled on a CPU multiply queries of one key together.

    Args:
        model: Is left as it is where its family has an attention of its own.
    """
    base = base_of(model)
    config = base.config.get_text_config(decoder=True)
    shared = getattr(config, "num_key_value_heads", None) not in (
        None,
        getattr(config, "num_attention_heads", None),
    )
    if shared and base.config._attn_implementation == "sdpa":
        AttentionInterface.register(_NAME, _attend)
        AttentionMaskInterface.register(_NAME, sdpa_mask)
        base.set_attn_implementation(_NAME)


def _attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    if attention_mask is None and query.shape[2] == 1:
        attention_mask = torch.ones((1, 1, 1, key.shape[2]), dtype=torch.bool)
    attended: tuple[Tensor, None] = sdpa_attention_forward(
        module, query, key, value, attention_mask, **kwargs
    )
    return attended
