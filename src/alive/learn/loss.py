"""Log-likelihoods of completions, and the loss: a weighted likelihood, nothing else."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from alive.learn.batch import MicroBatch


def completion_logprobs(model: Any, batch: MicroBatch) -> Tensor:
    """Natural log-probability of every token under the model.

    Args:
        model: A transformers causal LM.
        batch: B records, their beginnings shared or in the rows.

    Returns:
        [B, T], aligned with ``batch.ids``; meaningful where ``batch.mask`` is 1, else finite.
    """
    logits = _logits(model, batch)
    skipped = batch.ids.shape[1] - logits.shape[1]
    found = _gather(logits, batch.ids[:, skipped:])
    return torch.nn.functional.pad(found, (skipped, 0))


def likelihood_loss(logprobs: Tensor, weights: Tensor) -> Tensor:
    """``-sum_bt w_bt log p_bt``: with ``token_weights`` the sum of the weighted role losses.

    Args:
        logprobs: [B, T].
        weights: [B, T], 0 off the completion.
    """
    return -(logprobs * weights).sum()


CLIP_LOW, CLIP_HIGH = 0.2, 0.28
"""DAPO's. One update a batch of fresh rollouts stays within them: they guard against staleness."""


def policy_gradient_loss(logprobs: Tensor, behaviour: Tensor, weights: Tensor) -> Tensor:
    """``-sum_bt min(r_bt w_bt, clip(r_bt, 1 - low, 1 + high) w_bt)``, r the ratio to the sampler.

    With advantages over the number of tokens as weights this is GRPO's loss as DAPO normalises and
    clips it (arXiv 2503.14476, equation 8), without a KL term.

    Args:
        logprobs: [B, T].
        behaviour: [B, T], log-probabilities under the policy that sampled.
        weights: [B, T], 0 off the completion.
    """
    ratio = torch.exp(logprobs - behaviour)
    clipped = ratio.clamp(1 - CLIP_LOW, 1 + CLIP_HIGH)
    return -torch.minimum(ratio * weights, clipped * weights).sum()


def _logits(model: Any, batch: MicroBatch) -> Tensor:
    """[B, T', V] for the last T' of the T token columns; the earlier ones hold no completion."""
    return _rows(model, batch) if batch.prefix_ids is None else _grouped(model, batch)


def _rows(model: Any, batch: MicroBatch) -> Tensor:
    """One pass over prompt and completion. Right padding needs no mask: nothing looks ahead."""
    length = batch.ids.shape[1]
    first = int(batch.mask.argmax(-1).min())  # the earliest completion token of all rows
    out = model(input_ids=batch.ids, use_cache=False, logits_to_keep=length - first + 1)
    logits: Tensor = out.logits[:, :-1]
    return logits


def _grouped(model: Any, batch: MicroBatch) -> Tensor:
    """Each beginning is encoded once; its key-value cache is shared by the rows that follow."""
    assert batch.prefix_mask is not None
    assert batch.owner is not None
    positions = (batch.prefix_mask.cumsum(-1) - 1).clamp(min=0)
    prefixes = model(
        input_ids=batch.prefix_ids,
        attention_mask=batch.prefix_mask,
        position_ids=positions,
        use_cache=True,
        logits_to_keep=1,
    )
    logits: Tensor = prefixes.logits[batch.owner]  # [B, 1, V]
    if batch.ids.shape[1] > 1:
        cache = prefixes.past_key_values
        cache.batch_select_indices(batch.owner)
        fed = batch.ids[:, :-1]
        mask = torch.cat([batch.prefix_mask[batch.owner], torch.ones_like(fed)], dim=1)
        steps = torch.arange(fed.shape[1], device=fed.device)
        lengths = batch.prefix_mask.sum(-1)[batch.owner]
        rest = model(
            input_ids=fed,
            attention_mask=mask,
            position_ids=lengths[:, None] + steps,
            past_key_values=cache,
            use_cache=True,
        )
        logits = torch.cat([logits, rest.logits], dim=1)
    return logits


def _gather(logits: Tensor, ids: Tensor) -> Tensor:
    losses = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), ids.flatten(), reduction="none"
    )
    return -losses.view_as(ids)
