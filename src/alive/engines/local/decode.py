"""Batched decoding: each prompt is encoded once, and its rows share that cache.

A row is one completion. Rows of different requests stand side by side with their own temperature,
limit and random numbers, so what a request draws depends on its seed and not on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from alive.engines.local.cache import make_room, select_rows
from alive.engines.local.choice import choose
from alive.engines.local.continuous import Continuous
from alive.engines.local.layout import Layout, accepted, cache_name
from alive.engines.local.rows import Asked, Drawn, Row, kinds, uniform
from alive.learn.batch import pad
from alive.learn.prefix import shared_prefixes

__all__ = ["SHED", "Decoder"]

SHED = 0.75
"""Finished rows leave the batch once fewer than this share of it is still being written."""


class Decoder:
    """Draws completions from one model."""

    def __init__(
        self,
        model: Any,
        *,
        stop_ids: Sequence[int],
        pad_id: int,
        vocabulary: int,
        decode: Callable[[Sequence[int]], str],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Prepares to decode.

        Args:
            model: A transformers causal LM.
            stop_ids: Tokens that end a completion.
            pad_id: Fills what is masked.
            vocabulary: Tokens that may be drawn: ids below it. A model may embed more than its
                tokenizer knows.
            decode: Turns token ids into text, for stop texts.
            dtype: What attention computes in.
        """
        self.model, self.pad_id, self.vocabulary = model, pad_id, vocabulary
        self.layout, self.dtype = Layout.SHARED, dtype
        self._stops, self._decode = frozenset(stop_ids), decode
        self._cache = cache_name(model)
        self._accepted = accepted(model, "attention_mask", "position_ids", "logits_to_keep")
        self.slots = Continuous(
            model, stop_ids=stop_ids, vocabulary=vocabulary, decode=decode, dtype=dtype
        )

    def endless(self) -> None:
        """Lets every completion go on to its limit from here on, to be timed."""
        self._stops = frozenset()
        self.slots.endless()

    @torch.inference_mode()
    def draw(self, asked: Sequence[Asked]) -> list[list[Drawn]]:
        """Draws the rows of requests that fit one batch together; in slots, of any number.

        Returns:
            For each its n completions, in order.
        """
        if self.layout is Layout.SLOTTED:
            return self.slots.draw(asked)
        device = self.model.device
        rows = _Rows(asked, self._stops, self._decode, device)
        longest = max(one.params.max_new_tokens for one in asked)
        passes = self._uncached if self.layout is Layout.UNCACHED else self._cached
        run = passes([one.prompt for one in asked], rows.owner.to(device), rows.limits.to(device))
        logits = next(run)
        for step in range(longest):
            tokens, logprobs = choose(
                logits[:, : self.vocabulary],
                torch.logsumexp(logits.float(), -1),
                rows.temperature,
                rows.top_p,
                rows.uniform[:, step],
                *rows.choice,
            )
            kept = rows.write(tokens, logprobs)
            if kept is not None and kept.numel() == 0:
                break
            logits = run.send((tokens if kept is None else tokens[kept], kept))
        flat = rows.drawn()
        ends = torch.tensor([one.n for one in asked]).cumsum(0).tolist()
        return [flat[end - one.n : end] for one, end in zip(asked, ends, strict=True)]

    def _cached(self, prompts: Sequence[tuple[int, ...]], owner: Tensor, limits: Tensor) -> Any:
        """Yields the logits of each next token [B, V]; is sent it, and the rows to keep.

        A row beyond its limit [B] has ended, and stays at its last place: a model may have none
        beyond it.
        """
        tokens = int(limits.max())
        cache, mask, logits = self._encode(prompts)
        make_room(cache, owner, tokens, self.dtype)
        length = mask.shape[1]
        mask = torch.nn.functional.pad(mask[owner], (0, tokens), value=1)
        position = mask.sum(-1) - tokens
        last = position + limits - 1
        logits = logits[owner]
        for step in range(tokens):
            fed, kept = yield logits
            if kept is not None:
                select_rows(cache, kept)
                mask, position, last = mask[kept], position[kept], last[kept]
            if step + 1 == tokens:
                break
            place = torch.minimum(position + step, last)[:, None]
            out = self._pass(fed[:, None], mask[:, : length + step + 1], place, cache)
            logits = out.logits[:, -1]
        yield logits

    def _uncached(self, prompts: Sequence[tuple[int, ...]], owner: Tensor, limits: Tensor) -> Any:
        """As ``_cached``, for models whose state cannot be kept: every token is a whole pass."""
        tokens = int(limits.max())
        ids, mask = (t.to(owner.device) for t in pad(prompts, self.pad_id, left=False))
        ids = torch.nn.functional.pad(ids[owner], (0, tokens), value=self.pad_id)
        lengths = mask.sum(-1)[owner]
        last = lengths + limits - 1
        for _ in range(tokens):
            width = int(lengths.max())
            out = self.model(input_ids=ids[:, :width], use_cache=False)
            row = torch.arange(len(ids), device=ids.device)
            fed, kept = yield out.logits[row, lengths - 1]
            if kept is not None:
                ids, lengths, last = ids[kept], lengths[kept], last[kept]
            ids[torch.arange(len(ids), device=ids.device), lengths] = fed
            lengths = torch.minimum(lengths + 1, last)
        yield out.logits[:, -1]

    def _encode(self, prompts: Sequence[tuple[int, ...]]) -> tuple[Any, Tensor, Tensor]:
        """Encodes U prompts; what several begin with in common (reviews of a task) only once.

        Returns:
            (cache, mask of its entries [U, P], logits of the next token [U, V]).
        """
        device = self.model.device
        cache, mask = None, torch.zeros((len(prompts), 0), dtype=torch.long, device=device)
        rest: Sequence[Sequence[int]] = prompts
        cuts = _cuts(prompts) if self.layout is Layout.SHARED else [0] * len(prompts)
        unique: dict[tuple[int, ...], int] = {}
        owner = [
            unique.setdefault(prompt[:cut], len(unique))
            for prompt, cut in zip(prompts, cuts, strict=True)
        ]
        if any(cuts) and 2 * len(unique) <= len(prompts):
            ids, begun = (t.to(device) for t in pad(list(unique), self.pad_id, left=True))
            cache = self._kept(self._pass(ids, begun, _positions(begun), None))
            owners = torch.tensor(owner, device=device)
            select_rows(cache, owners)
            mask = begun[owners]
            rest = [prompt[cut:] for prompt, cut in zip(prompts, cuts, strict=True)]
        ids, fresh = (t.to(device) for t in pad(rest, self.pad_id, left=True))
        mask = torch.cat([mask, fresh], dim=1)
        out = self._pass(ids, mask, _positions(mask)[:, -ids.shape[1] :], cache)
        return self._kept(out), mask, out.logits[:, -1]

    def _kept(self, out: Any) -> Any:
        return getattr(out, self._cache)

    def _pass(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> Any:
        given = {"attention_mask": mask, "position_ids": positions, "logits_to_keep": 1}
        if self.layout is Layout.EQUAL:  # nothing is masked, and every place is its position
            del given["attention_mask"]
        taken = {name: value for name, value in given.items() if name in self._accepted}
        return self.model(input_ids=ids, use_cache=True, **{self._cache: cache}, **taken)


class _Rows:
    """The rows of a batch; those that have ended stay in it, unwritten, until enough have."""

    def __init__(
        self,
        asked: Sequence[Asked],
        stops: frozenset[int],
        decode: Callable[[Sequence[int]], str],
        device: torch.device,
    ) -> None:
        each = [one for one in asked for _ in range(one.n)]
        self.owner = torch.tensor([i for i, one in enumerate(asked) for _ in range(one.n)])
        self.temperature = torch.tensor([one.params.temperature for one in each], device=device)
        self.top_p = torch.tensor([one.params.top_p for one in each], device=device)
        self.uniform = uniform(asked).to(device)
        self.choice = kinds(asked)
        self.limits = torch.tensor([one.params.max_new_tokens for one in each])
        self._rows = [Row(one, stops, decode) for one in each]
        self._going = self._rows  # of each row of the batch, its completion
        self._device = device

    def write(self, tokens: Tensor, logprobs: Tensor) -> Tensor | None:
        """Appends a token to every row that goes on.

        Returns:
            The batch's rows to keep, when it is time to shed the others; empty when all have
            ended; None to keep them all.
        """
        for row, token, logprob in zip(
            self._going, tokens.tolist(), logprobs.tolist(), strict=True
        ):
            if not row.ended:
                row.add(token, logprob)
        going = [at for at, row in enumerate(self._going) if not row.ended]
        if going and len(going) > SHED * len(self._going):
            return None
        self._going = [self._going[at] for at in going]
        kept = torch.tensor(going, dtype=torch.long, device=self._device)
        self.temperature, self.top_p = self.temperature[kept], self.top_p[kept]
        self.uniform = self.uniform[kept]
        return kept

    def drawn(self) -> list[Drawn]:
        return [row.drawn() for row in self._rows]


def _cuts(prompts: Sequence[tuple[int, ...]]) -> list[int]:
    """How much of each prompt is encoded together with others that begin alike."""
    shared = shared_prefixes(list(prompts))
    # The last token is always fed on its own row: its logits are what comes next.
    return [min(length or len(p), len(p) - 1) for length, p in zip(shared, prompts, strict=True)]


def _positions(mask: Tensor) -> Tensor:
    """[U, P], each token's place among those that are not padding."""
    return (mask.cumsum(-1) - 1).clamp(min=0)
