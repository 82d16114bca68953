"""Batched decoding: each prompt is encoded once, and its N completions share that cache.

transformers' own ``generate`` repeats the prompt for every completion and keeps finished rows in
the batch; groups of N short completions are exactly the case where both cost most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from alive.engines.cache import make_room
from alive.learn.batch import pad
from alive.learn.prefix import shared_prefixes
from alive.types import SamplingParams


@dataclass(frozen=True, slots=True)
class Drawn:
    """One completion: token ids [T], their log-probabilities [T], whether it ended itself."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    stopped: bool


SHED = 0.75
"""Finished rows leave the batch once fewer than this share of it is still being written."""


class _Rows:
    """The rows of a batch; those that have ended stay in it, unwritten, until enough have."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.ids: list[list[int]] = [[] for _ in range(count)]
        self.logprobs: list[list[float]] = [[] for _ in range(count)]
        self.stopped = [False] * count
        self._places = list(range(count))  # of each row of the batch, its completion
        self._device = device

    def write(self, tokens: Tensor, logprobs: Tensor, stops: frozenset[int]) -> Tensor | None:
        """Appends a token to every row that goes on.

        Returns:
            The batch's rows to keep, when it is time to shed the others; empty when all have
            ended; None to keep them all.
        """
        for place, token, logprob in zip(
            self._places, tokens.tolist(), logprobs.tolist(), strict=True
        ):
            if not self.stopped[place]:
                self.ids[place].append(token)
                self.logprobs[place].append(logprob)
                self.stopped[place] = token in stops
        going = [row for row, place in enumerate(self._places) if not self.stopped[place]]
        if going and len(going) > SHED * len(self._places):
            return None
        self._places = [self._places[row] for row in going]
        return torch.tensor(going, dtype=torch.long, device=self._device)


@torch.inference_mode()
def draw(
    model: Any,
    prompts: Sequence[Sequence[int]],
    n: int,
    params: SamplingParams,
    *,
    stop_ids: Sequence[int],
    pad_id: int,
    seed: int,
) -> list[list[Drawn]]:
    """Draws ``n`` completions for each of U prompts.

    Returns:
        U lists of n completions, in the order of the prompts.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(seed)
    stops = frozenset(stop_ids)
    cache, mask, logits = _encode(model, prompts, pad_id)
    make_room(cache, n, params.max_new_tokens)
    logits = logits.repeat_interleave(n, 0)
    mask = torch.nn.functional.pad(
        mask.repeat_interleave(n, 0), (0, params.max_new_tokens), value=1
    )
    position = mask.sum(-1) - params.max_new_tokens
    length = mask.shape[1] - params.max_new_tokens
    rows = _Rows(len(prompts) * n, device)
    for step in range(params.max_new_tokens):
        tokens, logprobs = choose(logits, params, generator)
        kept = rows.write(tokens, logprobs, stops)
        if step + 1 == params.max_new_tokens or (kept is not None and kept.numel() == 0):
            break
        if kept is not None:
            cache.batch_select_indices(kept)
            tokens, mask, position = tokens[kept], mask[kept], position[kept]
        out = model(
            input_ids=tokens[:, None],
            attention_mask=mask[:, : length + step + 1],
            position_ids=position[:, None] + step,
            past_key_values=cache,
            use_cache=True,
        )
        logits = out.logits[:, -1]
    flat = [
        Drawn(tuple(ids), tuple(logprobs), stopped)
        for ids, logprobs, stopped in zip(rows.ids, rows.logprobs, rows.stopped, strict=True)
    ]
    return [flat[i : i + n] for i in range(0, len(flat), n)]


def _encode(
    model: Any, prompts: Sequence[Sequence[int]], pad_id: int
) -> tuple[Any, Tensor, Tensor]:
    """Encodes U prompts; what several begin with in common (reviews of one task) only once.

    Returns:
        (cache, mask of its entries [U, P], logits of the next token [U, V]).
    """
    device = next(model.parameters()).device
    shared = shared_prefixes([tuple(prompt) for prompt in prompts])
    # The last token is always fed on its own row: its logits are what comes next.
    cuts = [min(length or len(p), len(p) - 1) for length, p in zip(shared, prompts, strict=True)]
    unique: dict[tuple[int, ...], int] = {}
    owner = [
        unique.setdefault(tuple(prompt[:cut]), len(unique))
        for prompt, cut in zip(prompts, cuts, strict=True)
    ]
    cache, mask = None, torch.zeros((len(prompts), 0), dtype=torch.long, device=device)
    rest = list(prompts)
    if 2 * len(unique) <= len(prompts):
        ids, prefix_mask = (tensor.to(device) for tensor in pad(list(unique), pad_id, left=True))
        cache = model(
            input_ids=ids,
            attention_mask=prefix_mask,
            position_ids=(prefix_mask.cumsum(-1) - 1).clamp(min=0),
            use_cache=True,
            logits_to_keep=1,
        ).past_key_values
        rows = torch.tensor(owner, device=device)
        cache.batch_select_indices(rows)
        mask = prefix_mask[rows]
        rest = [prompt[cut:] for prompt, cut in zip(prompts, cuts, strict=True)]
    ids, rest_mask = (tensor.to(device) for tensor in pad(rest, pad_id, left=True))
    positions = (mask.sum(-1, keepdim=True) + rest_mask.cumsum(-1) - 1).clamp(min=0)
    mask = torch.cat([mask, rest_mask], dim=1)
    out = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return out.past_key_values, mask, out.logits[:, -1]


def choose(
    logits: Tensor, params: SamplingParams, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Picks the next token of every row.

    Args:
        logits: [B, V].
        params: Temperature and nucleus.
        generator: Source of randomness on the logits' device.

    Returns:
        (tokens [B], their log-probabilities at temperature 1 over the whole vocabulary [B]).
    """
    logprobs = torch.log_softmax(logits.float(), -1)
    if params.temperature == 0:
        tokens = logprobs.argmax(-1)
    else:
        probs = torch.softmax(logprobs / params.temperature, -1)
        if params.top_p < 1:
            probs = _nucleus(probs, params.top_p)
        tokens = torch.multinomial(probs, 1, generator=generator).squeeze(-1)
    return tokens, logprobs.gather(-1, tokens[:, None]).squeeze(-1)


def _nucleus(probs: Tensor, mass: float) -> Tensor:
    """Zeroes all but the smallest set of tokens that holds ``mass``; the top token always stays."""
    ranked, order = probs.sort(-1, descending=True)
    ranked = ranked.masked_fill(ranked.cumsum(-1) - ranked >= mass, 0.0)
    return torch.zeros_like(probs).scatter(-1, order, ranked)
