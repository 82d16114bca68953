"""The game of a document: pose, solve, review, revise. No learning happens here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from alive import reviewing
from alive.config import Config, GameConfig
from alive.feedback import condition, positive_condition
from alive.prompts import Renderer
from alive.protocols import Sampler, SamplingParams
from alive.reviewing import Attempted, Critic, Followed
from alive.roles import pose, solve
from alive.roles.memory import Memory
from alive.seeding import derive
from alive.types import Attempt, Document, Episode, Task


@dataclass(frozen=True, slots=True)
class Played:
    """An episode, and what became of the poser's proposals.

    Attributes:
        episode: The record.
        proposed: Tasks the poser itself proposed.
        filled: Tasks that an earlier step or chance chose.
        refused: Number of proposals refused, by reason.
        silent: Attempts for which a teacher was asked and sent no text.
    """

    episode: Episode
    proposed: int
    filled: int
    refused: dict[str, int]
    silent: int = 0


@dataclass(frozen=True, slots=True)
class Games:
    """What was played for one step.

    Attributes:
        conditioned: Whether attempts were sampled under words.
        warm: Whether a teacher reviewed them.
        played: A game a document.
        sampled: Completion tokens that were drawn.
    """

    conditioned: bool
    warm: bool
    played: list[Played]
    sampled: int


async def play_all(
    documents: Sequence[Document],
    step: int,
    sampler: Sampler,
    renderer: Renderer,
    config: Config,
    *,
    critic: Critic | None = None,
    conditioned: bool = True,
    reviewed: bool = True,
    hinted: bool = False,
    memory: Memory | None = None,
    guesses: Awaitable[Sequence[str]] | None = None,
) -> list[Played]:
    """Plays the documents of a step side by side, none waiting for another; see ``play``."""
    return await asyncio.gather(
        *(
            play(
                document, step, sampler, renderer, config, critic=critic, conditioned=conditioned,
                reviewed=reviewed, hinted=hinted, memory=memory, guesses=guesses,
            )
            for document in documents
        )
    )  # fmt: skip


async def play(
    document: Document,
    step: int,
    sampler: Sampler,
    renderer: Renderer,
    config: Config,
    *,
    critic: Critic | None = None,
    conditioned: bool = True,
    reviewed: bool = True,
    hinted: bool = False,
    memory: Memory | None = None,
    guesses: Awaitable[Sequence[str]] | None = None,
) -> Played:
    """Plays a document.

    Args:
        document: A raw text.
        step: The training step, for seeds and the record.
        sampler: The policy.
        renderer: Its prompts.
        config: The run's settings.
        critic: The warm-up teacher; None: the policy reviews with the hidden span in view.
        conditioned: Whether attempts are sampled under the positive condition.
        reviewed: Whether attempts are reviewed and revised at all, and asked for an answer that
            they lack. Baselines take them as they are.
        hinted: Whether wrong attempts are tried again with the hidden text in view, unreviewed.
        memory: Spans that were posed lately.
        guesses: Answers the policy gives without any passage; awaited once they are needed.

    Returns:
        Its episode with M tasks (fewer where it has no more), N attempts each, a review an
        attempt, and the revisions.
    """
    sampling, game = config.sampling, config.game
    seed = derive(config.seed, "play", step)
    posing, solving = (
        SamplingParams(tokens, sampling.temperature, sampling.top_p)
        for tokens in (sampling.pose_tokens, sampling.solve_tokens)
    )
    seen = (memory or {}).get(document.id)
    posed = await pose.pose(sampler, renderer, document, game, posing, seed, seen, guesses)
    groups = await asyncio.gather(
        *(
            _attempts(sampler, renderer, task, game, solving, conditioned, reviewed, seed)
            for task in posed.tasks
        )
    )
    attempted, followed = Attempted(document, posed.tasks, groups), Followed()
    if hinted:
        followed = await reviewing.hinted(attempted, sampler, renderer, config, solving, seed)
    elif reviewed:
        followed = await reviewing.reviewed(
            attempted, sampler, renderer, config, solving, seed, critic
        )
    n, reviews = game.solutions_per_mask, followed.reviews
    episode = Episode(
        step=step,
        document=document,
        tasks=posed.tasks,
        attempts=tuple(groups),
        reviews=tuple(tuple(reviews[at : at + n]) for at in range(0, len(reviews), n)),
        revisions=tuple(followed.revisions),
        pose_rollouts=posed.rollouts,
        pose_reasons=posed.reasons,
    )
    return Played(episode, posed.proposed_valid, posed.filled, posed.invalid, followed.silent)


async def _attempts(
    sampler: Sampler,
    renderer: Renderer,
    task: Task,
    game: GameConfig,
    params: SamplingParams,
    conditioned: bool,
    asked: bool,
    seed: int,
) -> tuple[Attempt, ...]:
    """Attempts a task N times, half of them under the positive words if conditioned.

    All are plain where those words happen to state what is hidden.
    """
    n = game.solutions_per_mask
    words = condition(positive_condition("solve", renderer.words), task.span)
    # Half are made without words even so: what words know soon shows without them.
    plain = n // 2 if conditioned and words else n
    parts = await asyncio.gather(
        *(
            solve.solve(sampler, renderer, task, count, params, said, seed)
            for count, said in ((n - plain, words), (plain, None))
            if count
        )
    )
    attempts = [replace(attempt, index=at) for at, attempt in enumerate(chain.from_iterable(parts))]
    if not asked:
        return tuple(attempts)
    return await solve.answered(sampler, renderer, task, attempts, params, seed)
