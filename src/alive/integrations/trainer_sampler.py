"""The model of a TRL trainer as the sampler of a game."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from alive.engines.local.rows import Asked, Drawn, as_drawn_here, rollout_of
from alive.engines.queue import RequestQueue
from alive.prompts import Renderer
from alive.protocols import Request
from alive.types import Rollout

__all__ = ["TrainerSampler"]


class TrainerSampler:
    """A trainer's model as the sampler of a game.

    The trainer's own settings say how completions are drawn (temperature, top_p, engine); a
    request says how long they may be.

    Attributes:
        knows_logprobs: Whether the engine told the log-probabilities of what it drew.
    """

    def __init__(self, trainer: Any, renderer: Renderer) -> None:
        """Begins with nothing asked."""
        self._trainer, self._renderer = trainer, renderer
        self._queue = RequestQueue(self._draw)
        self.knows_logprobs = False

    async def sample(self, request: Request) -> list[Rollout]:
        """Draws the request's completions together with whatever else is asked just now."""
        return await self._queue.sample(request)

    async def _draw(self, asked: Mapping[int, Request]) -> Mapping[int, list[Rollout]]:
        drawn: dict[int, list[Rollout]] = {}
        for limit in sorted({request.params.max_new_tokens for request in asked.values()}):
            batch = {k: r for k, r in asked.items() if r.params.max_new_tokens == limit}
            prompts = [list(r.prompt.ids) for r in batch.values() for _ in range(r.n)]
            with self._at_most(limit):
                ids, logprobs = self._trainer._generate_single_turn(prompts, None, {}, 1)
            self.knows_logprobs = logprobs is not None
            rows = zip(ids, logprobs if logprobs is not None else [[]] * len(ids), strict=True)
            for number, request in batch.items():
                drawn[number] = [self._rollout(request, *row) for row in islice(rows, request.n)]
        return drawn

    @contextmanager
    def _at_most(self, limit: int) -> Iterator[None]:
        """Bounds completions while its block runs, by what the role may say at most."""
        trainer = self._trainer
        if trainer.use_vllm:
            where, name = trainer.vllm_generation, "max_completion_length"
        else:
            where, name = trainer.generation_config, "max_new_tokens"
        most = getattr(where, name)
        setattr(where, name, min(most, limit))
        try:
            yield
        finally:
            setattr(where, name, most)

    def _rollout(self, request: Request, ids: Sequence[int], logprobs: Sequence[float]) -> Rollout:
        """Takes what was drawn up to where the prompt's own ends are met."""
        prompt, decode = request.prompt, self._renderer.decode
        asked = Asked(
            prompt.ids, 1, request.params, 0, stop=prompt.stop, stops_at_box=prompt.stops_at_box
        )
        told = logprobs or [0.0] * len(ids)
        made = as_drawn_here(asked, self._renderer.stop_ids, decode, ids, told)
        if not logprobs:
            made = Drawn(made.ids, (), made.stopped)
        return rollout_of(prompt, made, decode, int(self._trainer.state.global_step))
