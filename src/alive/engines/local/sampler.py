"""Requests to rollouts: which of them are decoded together, and in what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from alive.engines.local.batches import cut, row_size
from alive.engines.local.decode import Decoder
from alive.engines.local.layout import Layout, choose_layout, probe_cache
from alive.engines.local.rows import Asked, Drawn, rollout
from alive.engines.memory import free_bytes
from alive.engines.precision import Precision
from alive.engines.refusals import max_positions
from alive.prompts import Renderer
from alive.protocols import Request, SamplingParams
from alive.types import Rollout

__all__ = ["LocalSampler"]

_SHARING = (Layout.SHARED, Layout.PADDED)
"""Layouts of models whose records may share the pass over a prompt."""


class LocalSampler:
    """Draws rollouts from a model in this process.

    Attributes:
        decoder: What draws.
        shares: Whether several rows may continue one pass over what they begin with.
        version: Of the weights that are read.
    """

    def __init__(
        self, model: Any, renderer: Renderer, vocabulary: int, precision: Precision
    ) -> None:
        """Tries which layout a model can be decoded in.

        Args:
            model: What is read; in evaluation mode, on its device.
            renderer: Of its prompts.
            vocabulary: Tokens that its tokenizer knows.
            precision: What is computed in.
        """
        self.version = 0
        self._renderer, self._precision = renderer, precision
        self._positions = max_positions(model.config)
        self.decoder = Decoder(
            model,
            stop_ids=renderer.stop_ids,
            pad_id=renderer.pad_id,
            vocabulary=vocabulary,
            decode=renderer.decode,
            dtype=precision.dtype,
        )
        self._slots = self.decoder.slots
        with precision.autocast():
            self._row = row_size(*probe_cache(model), precision.dtype.itemsize)
            found = choose_layout(model, self._try, precision.dtype)
            self.shares = found in _SHARING
            if found is Layout.SHARED and model.device.type == "cuda":
                among = (Layout.SLOTTED, Layout.SHARED)
                found = choose_layout(model, self._try, precision.dtype, among)
        self.decoder.layout, self._slots.size = found, self._row
        self._begun: dict[int, Request] = {}

    @property
    def budget(self) -> int:
        """Bytes that rows may fill that are decoded together."""
        return self._slots.budget

    @budget.setter
    def budget(self, value: int) -> None:
        self._slots.budget = value

    def advance(self, news: Mapping[int, Request]) -> dict[int, list[Rollout]]:
        """Takes requests on and decodes: batches to their end, slots for a few tokens.

        Args:
            news: Further requests, by numbers that no other has.

        Returns:
            Those that are complete.
        """
        self._begun |= news
        asked = {number: self._fitted(request) for number, request in news.items()}
        possible = {number: one for number, one in asked.items() if one.params.max_new_tokens > 0}
        # The others' prompts leave no room for a token.
        drawn = {n: [Drawn((), (), False)] * one.n for n, one in asked.items() if n not in possible}
        with self._precision.autocast():
            if self.decoder.layout is Layout.SLOTTED:
                drawn |= self._slots.advance(possible)
            else:
                drawn |= self._in_batches(possible)
        begun = {number: self._begun.pop(number) for number in drawn}
        return {
            n: [rollout(begun[n], row, self._renderer, self.version) for row in rows]
            for n, rows in drawn.items()
        }

    def drop(self) -> None:
        """Gives up what is incomplete."""
        self._begun = {}
        self._slots.drop()

    def make_room(self, needed: float) -> None:
        """Gives the memory of slots back where training would be short of it.

        Slots that stay keep their graphs, which take longer to make than to use for a step.

        Args:
            needed: Bytes that training takes.
        """
        device = self.decoder.model.device.type
        if device != "cuda" or free_bytes(device) < needed:
            self._slots.release()

    def _in_batches(self, asked: Mapping[int, Asked]) -> dict[int, list[Drawn]]:
        """Decodes whole requests, in as few batches as the budget allows."""
        equal = self.decoder.layout is Layout.EQUAL
        numbers = list(asked)
        drawn: dict[int, list[Drawn]] = {number: [] for number in numbers}
        for batch in cut(list(asked.values()), self._row, self.budget, equal=equal):
            groups = self.decoder.draw([part for _, part in batch])
            for (at, _), group in zip(batch, groups, strict=True):
                drawn[numbers[at]] += group
        return drawn

    def _fitted(self, request: Request) -> Asked:
        """A request as rows; its limit is what the model's context leaves beside the prompt."""
        params, ids = request.params, request.prompt.ids
        if self._positions is not None:
            room = max(0, min(params.max_new_tokens, self._positions - len(ids)))
            params = replace(params, max_new_tokens=room)
        stop, box = request.prompt.stop, request.prompt.stops_at_box
        return Asked(ids, request.n, params, request.seed, stop=stop, stops_at_box=box)

    def _try(
        self, layout: Layout, prompts: Sequence[Sequence[int]]
    ) -> list[tuple[Sequence[int], Sequence[float]]]:
        """Decodes a few tokens after each prompt, for the choice of a layout.

        The first row of each prompt ends at once, so that a cache is seen to shed rows as well.
        """
        self.decoder.layout = layout
        asked = [
            [
                Asked(tuple(prompt), n, SamplingParams(tokens), seed)
                for n, tokens in ((1, 1), (3, 4))
            ]
            for seed, prompt in enumerate(prompts)
        ]
        together: Iterable[list[Asked]]
        together = asked if layout is Layout.EQUAL else [list(chain(*asked))]
        groups = [group for batch in together for group in self.decoder.draw(batch)]
        return [(group[-1].ids, group[-1].logprobs) for group in groups[1::2]]
