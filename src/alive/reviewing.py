"""What follows the attempts at a document's tasks: reviews, and second tries after them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

from alive.config import Config
from alive.feedback import may_guide
from alive.prompts import Renderer
from alive.protocols import Sampler, SamplingParams
from alive.roles import review, solve
from alive.seeding import derive
from alive.types import Attempt, Document, Review, Task

__all__ = ["Attempted", "Critic", "Followed", "hardest", "hinted", "reviewed"]

Critic = Callable[[Sequence[Task], Sequence[Attempt]], Sequence[Review]]
"""Writes the privileged reviews of a document's attempts in place of the policy: a teacher."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """A document whose tasks were attempted.

    Attributes:
        document: What the tasks were made of.
        tasks: Its tasks.
        groups: The attempts at each.
    """

    document: Document
    tasks: Sequence[Task]
    groups: Sequence[Sequence[Attempt]]

    @property
    def attempts(self) -> list[Attempt]:
        """All attempts, task by task."""
        return list(chain.from_iterable(self.groups))

    @property
    def owners(self) -> list[Task]:
        """The task of each attempt."""
        return [task for task, group in zip(self.tasks, self.groups, strict=True) for _ in group]


@dataclass(frozen=True, slots=True)
class Followed:
    """What followed a document's attempts.

    Attributes:
        reviews: One an attempt, in order; none for an arm without reviews.
        revisions: Second tries; ``index`` names the attempt revised.
        silent: Attempts for which a teacher was asked and sent no text.
    """

    reviews: Sequence[Review] = ()
    revisions: Sequence[Attempt] = ()
    silent: int = 0


async def reviewed(
    attempted: Attempted,
    sampler: Sampler,
    renderer: Renderer,
    config: Config,
    params: SamplingParams,
    seed: int,
    critic: Critic | None,
) -> Followed:
    """Reviews a document's attempts, and has wrong ones revised after their reviews.

    Args:
        attempted: The document.
        sampler: The policy.
        renderer: Its prompts.
        config: The run's settings.
        params: How revisions are drawn.
        seed: Seed of the step.
        critic: A teacher; None: the policy reviews.
    """
    game = config.game
    owners, attempts = attempted.owners, attempted.attempts
    judged = hardest(attempted.groups, game.reviews_per_document)
    judged_tasks, judged_attempts = [owners[i] for i in judged], [attempts[i] for i in judged]
    silent = 0
    if critic is not None:
        written = critic(judged_tasks, judged_attempts)
        silent = sum(not review_.given for review_ in written)
    else:
        # Greedy, as reviewers are deployed: chance in a verdict teaches nobody (docs/LOG.md, 19).
        judging = SamplingParams(config.sampling.review_tokens, temperature=0.0)
        written = await review.review_each(
            sampler, renderer, judged_tasks, judged_attempts, game.privileged, judging, seed,
            review.TRIES,
        )  # fmt: skip
    review_at = dict(zip(judged, written, strict=True))
    reviews = [review_at.get(i) or review.none(owners[i], a) for i, a in enumerate(attempts)]
    guided = [
        not attempt.correct and may_guide(review_, task.span)
        for task, attempt, review_ in zip(owners, attempts, reviews, strict=True)
    ]
    drawn = derive(seed, "choose", attempted.document.id)
    chosen = _chosen(attempts, guided, game.revisions_per_mask, drawn)

    async def revision(task: Task, attempt: Attempt, read: Review) -> Attempt:
        if game.revise_from == "nothing":
            read = review.from_text(task, attempt, renderer.words.content_free, privileged=False)
        made = await solve.revise(sampler, renderer, task, attempt, read, params, seed)
        [complete] = await solve.answered(sampler, renderer, task, [made], params, seed)
        return complete

    revisions = await asyncio.gather(
        *(revision(owners[i], attempts[i], reviews[i]) for i in chosen)
    )
    return Followed(reviews, revisions, silent)


async def hinted(
    attempted: Attempted,
    sampler: Sampler,
    renderer: Renderer,
    config: Config,
    params: SamplingParams,
    seed: int,
) -> Followed:
    """Has wrong attempts tried again with the hidden text as a hint: rationalisation.

    Nothing is reviewed. As many attempts a task are chosen as ``reviewed`` has revised.

    Source: Zelikman et al., STaR, arXiv 2203.14465.
    """
    owners, attempts = attempted.owners, attempted.attempts
    wrong = [not attempt.correct for attempt in attempts]
    drawn = derive(seed, "choose", attempted.document.id)
    chosen = _chosen(attempts, wrong, config.game.revisions_per_mask, drawn)
    return Followed(
        revisions=await asyncio.gather(
            *(
                solve.rationalise(sampler, renderer, owners[i], attempts[i], params, seed)
                for i in chosen
            )
        )
    )


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


def _chosen(
    attempts: Sequence[Attempt], eligible: Sequence[bool], a_task: int, seed: int
) -> list[int]:
    """Draws which of the eligible attempts are tried again, at most ``a_task`` of each task."""
    by_task: dict[str, list[int]] = {}
    for i, (attempt, may) in enumerate(zip(attempts, eligible, strict=True)):
        if may:
            by_task.setdefault(attempt.task_id, []).append(i)
    rng = random.Random(seed)
    return sorted(
        chain.from_iterable(
            rng.sample(indices, min(a_task, len(indices))) for indices in by_task.values()
        )
    )
