"""The games of a step: played on several ranks, now or while something else is learned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from alive import aio, arms
from alive.game import Games, Played, play_all
from alive.protocols import Sampler, SamplingParams
from alive.ranks import Ranks, share, together
from alive.roles.pose import blind_guesses
from alive.seeding import derive
from alive.session import Session
from alive.warmup import make_critic

__all__ = ["begun", "goes_ahead", "merged", "opened"]


def opened(run: Session, step: int, sampler: Sampler) -> Callable[[], Games]:
    """Opens a step's games: what comes back plays those of this rank, in whatever thread.

    Documents and words are those of now; from here on only the policy is asked.
    """
    config, state = run.config, run.state
    warm = step < config.warmup.steps
    # In warm-up words are learned whatever they did before: else they could never separate.
    conditioned = config.game.conditioned and (warm or state.separates)
    documents = share(run.ranks, run.next_documents(config.game.documents_per_step))
    sampling, memory = config.sampling, state.memory
    solving = SamplingParams(sampling.solve_tokens, sampling.temperature, sampling.top_p)

    async def play() -> list[Played]:
        """Plays documents side by side, while the policy says what it answers unread."""
        unread = blind_guesses(
            sampler, run.renderer, config.game.solutions_per_mask, solving,
            derive(config.seed, "guesses", step),
        )  # fmt: skip
        critic = make_critic(config, run.renderer) if warm else None
        return await play_all(
            documents, step, sampler, run.renderer, config,
            critic=critic, conditioned=conditioned, reviewed=arms.reviews(config),
            hinted=arms.hints(config), memory=memory, guesses=asyncio.ensure_future(unread),
        )  # fmt: skip

    def games() -> Games:
        before = run.policy.usage.tokens_sampled
        played = aio.run(play())
        return Games(conditioned, warm, played, run.policy.usage.tokens_sampled - before)

    return games


def goes_ahead(run: Session) -> bool:
    """Whether the next step is played while this one is learned."""
    return run.config.learn.staleness > 0 and run.state.step + 1 < run.config.steps


def begun(work: Callable[[], Games]) -> Future[Games]:
    """Begins to play in a thread of its own."""
    pool = ThreadPoolExecutor(max_workers=1)
    games = pool.submit(work)
    pool.shutdown(wait=False)
    return games


def merged(ranks: Ranks, games: Games) -> Games:
    """Puts together what the ranks played of a step."""
    played = together(ranks, games.played)
    return replace(games, played=played, sampled=sum(ranks.gather(games.sampled)))
