"""The game of a document: pose, solve, review, revise. No learning happens here."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, zip_longest

from alive.config import Config, GameConfig
from alive.feedback import condition, may_guide, positive_condition
from alive.prompts import Renderer
from alive.protocols import Sampler, SamplingParams
from alive.roles import pose, review, solve
from alive.roles.memory import Memory
from alive.seeding import derive
from alive.types import Attempt, Document, Episode, Review, Task

Critic = Callable[[Sequence[Task], Sequence[Attempt]], Sequence[Review]]
"""Writes the privileged reviews of a document's attempts in place of the policy: a teacher."""


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
    memory: Memory | None = None,
    guesses: Awaitable[Sequence[str]] | None = None,
) -> list[Played]:
    """Plays the documents of a step side by side, none waiting for another; see ``play``."""
    return await asyncio.gather(
        *(
            play(
                document, step, sampler, renderer, config, critic=critic, conditioned=conditioned,
                reviewed=reviewed, memory=memory, guesses=guesses,
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
    # Greedy, as reviewers are deployed: chance in a verdict teaches nobody (docs/LOG.md, 19).
    judging = SamplingParams(sampling.review_tokens, temperature=0.0)

    seen = (memory or {}).get(document.id)
    posed = await pose.pose(sampler, renderer, document, game, posing, seed, seen, guesses)
    groups = await asyncio.gather(
        *(
            _attempts(sampler, renderer, task, game, solving, conditioned, reviewed, seed)
            for task in posed.tasks
        )
    )
    owners = [task for task, group in zip(posed.tasks, groups, strict=True) for _ in group]
    attempts = list(chain.from_iterable(groups))
    reviews: list[Review] = []
    revisions: list[Attempt] = []
    silent = 0
    if reviewed:
        judged = hardest(groups, game.reviews_per_document)
        judged_tasks = [owners[i] for i in judged]
        judged_attempts = [attempts[i] for i in judged]
        if critic is not None:
            written = critic(judged_tasks, judged_attempts)
            silent = sum(not review_.given for review_ in written)
        else:
            written = await review.review_each(
                sampler, renderer, judged_tasks, judged_attempts, True, judging, seed, review.TRIES
            )
        review_at = dict(zip(judged, written, strict=True))
        reviews = [review_at.get(i) or review.none(owners[i], a) for i, a in enumerate(attempts)]
        drawn = derive(seed, "choose", document.id)
        chosen = _to_revise(owners, attempts, reviews, game.revisions_per_mask, drawn)
        revisions = await asyncio.gather(
            *(
                _revision(sampler, renderer, owners[i], attempts[i], reviews[i], solving, seed)
                for i in chosen
            )
        )
    n = game.solutions_per_mask
    episode = Episode(
        step=step,
        document=document,
        tasks=posed.tasks,
        attempts=tuple(groups),
        reviews=tuple(tuple(reviews[at : at + n]) for at in range(0, len(reviews), n)),
        revisions=tuple(revisions),
        pose_rollouts=posed.rollouts,
        pose_reasons=posed.reasons,
    )
    return Played(episode, posed.proposed_valid, posed.filled, posed.invalid, silent)


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


async def _revision(
    sampler: Sampler,
    renderer: Renderer,
    task: Task,
    attempt: Attempt,
    review_: Review,
    params: SamplingParams,
    seed: int,
) -> Attempt:
    """Has an attempt revised after its review."""
    made = await solve.revise(sampler, renderer, task, attempt, review_, params, seed)
    [revision] = await solve.answered(sampler, renderer, task, [made], params, seed)
    return revision


def hardest(groups: Sequence[Sequence[Attempt]], most: int) -> list[int]:
    """Chooses which attempts at a document's tasks are reviewed: wrong and right ones in turn.

    Tasks that fewest attempts solved come first, and none twice before each has come once.
    Identical attempts share a review and count as one. Right ones are reviewed only as many as
    wrong ones: reviews of right attempts alone teach nobody.

    Args:
        groups: The attempts at each task.
        most: How many; 0 for all.
    """
    sides: dict[bool, list[tuple[int, int, int, str]]] = {False: [], True: []}
    for task, group in enumerate(groups):
        solved = sum(attempt.correct for attempt in group)
        for correct, side in sides.items():
            texts = dict.fromkeys(a.rollout.text for a in group if a.correct is correct)
            side += [(turn, solved, task, text) for turn, text in enumerate(texts)]
    wrong, right = (sorted(sides[correct]) for correct in (False, True))
    turns = chain.from_iterable(zip_longest(wrong, right[: len(wrong)] if most else right))
    chosen = {entry[2:] for entry in islice(filter(None, turns), most or None)}
    flat = [(task, a.rollout.text) for task, group in enumerate(groups) for a in group]
    return [at for at, completion in enumerate(flat) if completion in chosen]


def _to_revise(
    tasks: Sequence[Task],
    attempts: Sequence[Attempt],
    reviews: Sequence[Review],
    a_task: int,
    seed: int,
) -> list[int]:
    """Chooses wrong attempts whose review may guide a reviser, at most ``a_task`` of each task."""
    by_task: dict[str, list[int]] = {}
    for i, (task, attempt, review_) in enumerate(zip(tasks, attempts, reviews, strict=True)):
        if not attempt.correct and may_guide(review_, task.span):
            by_task.setdefault(attempt.task_id, []).append(i)
    rng = random.Random(seed)
    return sorted(
        chain.from_iterable(
            rng.sample(indices, min(a_task, len(indices))) for indices in by_task.values()
        )
    )
