"""Log-likelihoods of completions, and the two losses made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from alive.learn.batch import MicroBatch
from alive.learn.head import Head, decoder_of, head_of, target_logprobs

__all__ = ["Forward", "clipped", "likelihood_loss", "policy_gradient_loss"]

SHARPNESS = 0.5
"""Temperature of a teacher's distribution (docs/algorithm.md)."""


@dataclass(frozen=True, slots=True)
class Forward:
    """The forward pass of learning over one model.

    Attributes:
        model: A transformers causal LM.
        head: Its head; None where its logits have to be taken whole.
        decoder: What ends in the hidden states that the head reads, can do without padding, and
            shares beginnings even where activations are recomputed; None: the model's own.
    """

    model: Any
    head: Head | None
    decoder: Any = None

    @classmethod
    def of(cls, model: Any, dtype: torch.dtype = torch.float32, decoder: Any = None) -> Forward:
        """Prepares the pass for a model whose products are computed in ``dtype``."""
        head = head_of(model, dtype)
        return cls(model, head, None if head is None else decoder)

    def logprobs(self, batch: MicroBatch) -> Tensor:
        """Natural log-probability of every completion token under the model.

        Args:
            batch: B records, their beginnings shared or in the rows.

        Returns:
            [R], the R tokens with ``batch.mask`` 1, row by row.
        """
        return self._values(self.states(batch), batch.ids[batch.mask.bool()])

    def states(self, batch: MicroBatch) -> Tensor:
        """Hidden states before every completion token, [R, H]; where there is no head, logits."""
        ahead = batch.mask.bool()
        if batch.prefix_ids is None:
            # No row begins with its completion: the first token of all follows something.
            fed = batch.ids[:, :-1]
            return self._states(_read(batch), input_ids=fed, use_cache=False)[0][ahead[:, 1:]]
        return self._continued(batch)[ahead]

    def divergences(
        self, states: Tensor, informed: Tensor, teacher: Forward, targets: Tensor
    ) -> Tensor:
        """How far the next token's distribution is from a teacher's, ``KL(teacher || own)``.

        The teacher is sharpened to temperature ``SHARPNESS``, as what it is sure of is what is to
        be learned. Beside it stands how likely the token that was written is to either, the
        teacher not sharpened.

        Args:
            states: [R, H], own, of ``states``.
            informed: [R, H], the teacher's before the same tokens; carries no gradient.
            teacher: Whose they are.
            targets: [R], the tokens.

        Returns:
            [R, 3], nats: the divergence, and without a gradient the token's own log-probability and
            the teacher's.
        """

        def value(logits: Tensor, where: slice) -> Tensor:
            wrote = targets[where, None]
            own = torch.log_softmax(logits, -1)
            with torch.no_grad():
                told, theirs = _told(teacher.logits(informed[where]), wrote)
                likely = torch.cat([own.gather(-1, wrote), theirs], -1)
            divergence = (told.exp() * (told - own)).sum(-1, keepdim=True)
            return torch.cat([divergence, likely], -1)

        if self.head is None:
            return value(states.float(), slice(None))
        return self.head.values(states, value)

    def logits(self, states: Tensor) -> Tensor:
        """Float32 logits [r, V] of a few of ``states``."""
        return states.float() if self.head is None else self.head.logits(states)

    def _states(self, real: Tensor, **inputs: Any) -> tuple[Tensor, Any]:
        """Hidden states [B, T, H], or where there is no head the logits; and the cache.

        Those where ``real`` [B, T] is False are not wanted.
        """
        if self.head is None:
            out = self.model(**inputs)
            return out.logits, getattr(out, "past_key_values", None)
        if self.decoder is None:
            out = decoder_of(self.model)(**inputs)
        else:
            out = self.decoder(**inputs, real=real)
        return out.last_hidden_state, getattr(out, "past_key_values", None)

    def _values(self, states: Tensor, targets: Tensor) -> Tensor:
        """[R], of the states [R, H] before R targets."""
        if self.head is not None:
            return target_logprobs(self.head, states, targets)
        return -torch.nn.functional.cross_entropy(states.float(), targets, reduction="none")

    def _continued(self, batch: MicroBatch) -> Tensor:
        """States before each token of the rows, [B, T, H]; beginnings are encoded once."""
        assert batch.prefix_ids is not None
        assert batch.prefix_mask is not None
        assert batch.owner is not None
        positions = (batch.prefix_mask.cumsum(-1) - 1).clamp(min=0)
        begun, cache = self._states(
            batch.prefix_mask.bool(),
            input_ids=batch.prefix_ids,
            attention_mask=batch.prefix_mask,
            position_ids=positions,
            past_key_values=None if self.decoder is None else self.decoder.beginning(),
            use_cache=True,
        )
        states = begun[batch.owner, -1:]  # all beginnings end together
        if batch.ids.shape[1] > 1:
            if self.decoder is None:
                cache.batch_select_indices(batch.owner)
            else:
                cache = cache.continued(batch.owner)
            fed = batch.ids[:, :-1]
            mask = torch.cat([batch.prefix_mask[batch.owner], torch.ones_like(fed)], dim=1)
            steps = torch.arange(fed.shape[1], device=fed.device)
            # Padding behind a row stays at its last place: a model may have no place beyond it.
            places = torch.minimum(steps, _last(batch.mask)[:, None])
            lengths = batch.prefix_mask.sum(-1)[batch.owner]
            rest, _ = self._states(
                _read(batch),
                input_ids=fed,
                attention_mask=mask,
                position_ids=lengths[:, None] + places,
                past_key_values=cache,
                use_cache=True,
            )
            states = torch.cat([states, rest], dim=1)
        return states


def _told(logits: Tensor, wrote: Tensor) -> tuple[Tensor, Tensor]:
    """A teacher's log-distributions [r, V], sharpened; of what was written [r, 1], as it is."""
    theirs = logits.gather(-1, wrote) - torch.logsumexp(logits, -1, keepdim=True)
    return torch.log_softmax(logits / SHARPNESS, -1), theirs


def _read(batch: MicroBatch) -> Tensor:
    """Which tokens of the rows but their last something is read behind, [B, T - 1]."""
    steps = torch.arange(batch.ids.shape[1] - 1, device=batch.ids.device)
    return steps < _last(batch.mask)[:, None]


def _last(mask: Tensor) -> Tensor:
    """The last place of each row [B, T] at which its mask is 1, [B]."""
    return mask.shape[1] - 1 - mask.flip(-1).argmax(-1)


def likelihood_loss(logprobs: Tensor, weights: Tensor) -> Tensor:
    """``-sum_t w_t log p_t``: with ``token_weights`` the sum of the weighted role losses.

    Args:
        logprobs: [R].
        weights: [R].
    """
    return -(logprobs * weights).sum()


CLIP_LOW, CLIP_HIGH = 0.2, 0.28
"""DAPO's. One update a batch of fresh rollouts stays within them: they guard against staleness."""


def policy_gradient_loss(logprobs: Tensor, sampled: Tensor, weights: Tensor) -> Tensor:
    """``-sum_t min(r_t w_t, clip(r_t, 1 - low, 1 + high) w_t)``, r the ratio to the sampler.

    With advantages over the number of tokens as weights this is GRPO's loss as DAPO normalises and
    clips it (arXiv 2503.14476, equation 8), without a KL term.

    Args:
        logprobs: [R].
        sampled: [R], log-probabilities under the policy that sampled.
        weights: [R].
    """
    ratio = torch.exp(logprobs - sampled)
    clipped = ratio.clamp(1 - CLIP_LOW, 1 + CLIP_HIGH)
    return -torch.minimum(ratio * weights, clipped * weights).sum()


def clipped(logprobs: Tensor, sampled: Tensor, weights: Tensor) -> Tensor:
    """Which tokens [R] ``policy_gradient_loss`` takes no gradient from, as their ratio is clipped.

    Args:
        logprobs: [R].
        sampled: [R].
        weights: [R].
    """
    ratio = torch.exp(logprobs - sampled)
    return torch.where(weights > 0, ratio > 1 + CLIP_HIGH, (ratio < 1 - CLIP_LOW) & (weights < 0))
