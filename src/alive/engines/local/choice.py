"""Which token comes next, given the logits and a random number."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["choose"]


def choose(
    logits: Tensor,
    normaliser: Tensor,
    temperature: Tensor,
    top_p: Tensor,
    uniform: Tensor,
    warm: bool = True,
    nucleus: bool = True,
) -> tuple[Tensor, Tensor]:
    """Picks the next token of every row by inverting its distribution at a random number.

    Args:
        logits: [B, V'], of the tokens that may be drawn.
        normaliser: [B], log of the sum of exponentials of all logits.
        temperature: [B], 0 is greedy.
        top_p: [B], nucleus mass in (0, 1].
        uniform: [B], in [0, 1).
        warm: Whether any row has a temperature. To ask the tensor would be to wait for the device.
        nucleus: Whether any row has a nucleus.

    Returns:
        (tokens [B], their log-probabilities at temperature 1 over the whole vocabulary [B]).
    """
    logits = logits.float()
    best = logits.argmax(-1)
    tokens = best
    if warm:
        divisor = torch.where(temperature > 0, temperature, 1.0)
        probs = torch.softmax(logits / divisor[:, None], -1)
        if nucleus:
            probs = _nucleus(probs, top_p)
        mass = probs.cumsum(-1)
        drawn = torch.searchsorted(mass, (uniform * mass[:, -1])[:, None], right=True)
        drawn = drawn.clamp(max=logits.shape[-1] - 1)
        # Rounding in the sums may end on a token of no mass; that one is never drawn.
        sound = probs.gather(-1, drawn).squeeze(-1) > 0
        tokens = torch.where((temperature > 0) & sound, drawn.squeeze(-1), best)
    return tokens, logits.gather(-1, tokens[:, None]).squeeze(-1) - normaliser


def _nucleus(probs: Tensor, mass: Tensor) -> Tensor:
    """Zeroes all but the smallest set of tokens that holds ``mass``; the top token always stays."""
    ranked, order = probs.sort(-1, descending=True)
    # A row that keeps all, beside others that do not, loses no tail to a sum that rounds to 1.
    bound = torch.where(mass < 1, mass, torch.inf)
    ranked = ranked.masked_fill(ranked.cumsum(-1) - ranked >= bound[:, None], 0.0)
    return torch.zeros_like(probs).scatter(-1, order, ranked)
