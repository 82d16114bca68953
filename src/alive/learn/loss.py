"""Log-likelihoods of completions, and the loss: a weighted likelihood, nothing else."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from alive.learn.batch import MicroBatch


def completion_logprobs(model: Any, batch: MicroBatch) -> Tensor:
    """Natural log-probability of every completion token.

    Each prompt is encoded once; its cache is shared by its completions.

    Args:
        model: A transformers causal LM.
        batch: U prompts, B completions.

    Returns:
        [B, T]; entries at padding are meaningless.
    """
    positions = (batch.prompt_mask.cumsum(-1) - 1).clamp(min=0)
    prompts = model(
        input_ids=batch.prompt_ids,
        attention_mask=batch.prompt_mask,
        position_ids=positions,
        use_cache=True,
        logits_to_keep=1,
    )
    first = prompts.logits[batch.owner]  # [B, 1, V]
    logits = first
    if batch.completion_ids.shape[1] > 1:
        cache = prompts.past_key_values
        cache.batch_select_indices(batch.owner)
        mask = torch.cat([batch.prompt_mask[batch.owner], batch.completion_mask[:, :-1]], dim=1)
        steps = torch.arange(batch.completion_ids.shape[1] - 1, device=mask.device)
        lengths = batch.prompt_mask.sum(-1)[batch.owner]
        rest = model(
            input_ids=batch.completion_ids[:, :-1],
            attention_mask=mask,
            position_ids=lengths[:, None] + steps,
            past_key_values=cache,
            use_cache=True,
        )
        logits = torch.cat([first, rest.logits], dim=1)
    losses = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), batch.completion_ids.flatten(), reduction="none"
    )
    return -losses.view_as(batch.completion_ids)


def likelihood_loss(logprobs: Tensor, weights: Tensor) -> Tensor:
    """``-sum_bt w_bt log p_bt``: with ``token_weights`` the sum of the weighted role losses.

    Args:
        logprobs: [B, T].
        weights: [B, T], 0 on padding.
    """
    return -(logprobs * weights).sum()
