"""The game of a step's documents: pose, solve, review, revise. No learning happens here."""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, zip_longest

from alive.config import Config, GameConfig
from alive.feedback import keep_review, positive_condition
from alive.prompts import Renderer
from alive.roles import pose, review, solve
from alive.roles.solve import revise
from alive.seeding import derive
from alive.types import Attempt, Document, Episode, Review, Sampler, SamplingParams, Task

Critic = Callable[[Sequence[Task], Sequence[Attempt]], Sequence[Review]]
"""Writes the privileged review of each attempt: a teacher in warm-up, the policy afterwards."""

Stage = Callable[[str], None]
"""Told the name of each stage as it begins."""


@dataclass(frozen=True, slots=True)
class Played:
    """An episode, and what became of the poser's proposals.

    Attributes:
        episode: The record.
        proposed: Tasks the poser itself proposed.
        filled: Tasks filled at random.
        refused: Number of proposals refused, by reason.
    """

    episode: Episode
    proposed: int
    filled: int
    refused: dict[str, int]


def play(
    documents: Sequence[Document],
    step: int,
    sampler: Sampler,
    renderer: Renderer,
    config: Config,
    *,
    critic: Critic | None = None,
    conditioned: bool = True,
    reviewed: bool = True,
    memory: Container[str] = (),
    guesses: Sequence[str] = (),
    stage: Stage = lambda _: None,
) -> tuple[Played, ...]:
    """Plays the documents of a step side by side: each stage is one call on the sampler.

    Args:
        documents: D raw texts.
        step: The training step, for seeds and the record.
        sampler: The policy.
        renderer: Its prompts.
        config: The run's settings.
        critic: The warm-up teacher; None: the policy reviews with the hidden span in view.
        conditioned: Whether attempts are sampled under the positive condition.
        reviewed: Whether attempts are reviewed and revised at all.
        memory: Ids of tasks not to be posed again.
        guesses: Answers the policy gives without any passage.
        stage: Told what begins.

    Returns:
        For each document its episode with M tasks (fewer where it has no more), N attempts each,
        a review an attempt, and the revisions.
    """
    seed, sampling, game = config.seed, config.sampling, config.game

    def params(tokens: int) -> SamplingParams:
        return SamplingParams(tokens, sampling.temperature, sampling.top_p)

    def here(name: str) -> int:
        return derive(seed, name, step)

    stage("pose")
    posed = pose.pose(
        sampler, renderer, documents, game, params(sampling.pose_tokens), here("pose"), memory,
        guesses,
    )  # fmt: skip
    stage("solve")
    tasks = [task for one in posed for task in one.tasks]
    n, solving = game.solutions_per_mask, params(sampling.solve_tokens)
    groups = _solve(sampler, renderer, tasks, game, solving, conditioned, here)
    if not reviewed:
        return tuple(_split(documents, step, posed, groups, (), ()))
    stage("review")
    owners = [task for task in tasks for _ in range(n)]
    attempts = list(chain.from_iterable(groups))
    # Greedy, as reviewers are deployed: chance in a verdict teaches nobody (docs/LOG.md, 19).
    judging = SamplingParams(sampling.review_tokens, temperature=0.0)
    write = critic or _own_critic(sampler, renderer, judging, here("review"))
    judged = _to_review(posed, groups, game.reviews_per_document)
    written = write([owners[i] for i in judged], [attempts[i] for i in judged])
    given = dict(zip(judged, written, strict=True))
    reviews = [
        given.get(i) or review.none(owners[i], attempt) for i, attempt in enumerate(attempts)
    ]
    stage("revise")
    chosen = _to_revise(attempts, reviews, game.revisions_per_mask, here("choose"))
    revisions = revise(
        sampler,
        renderer,
        [owners[i] for i in chosen],
        [attempts[i] for i in chosen],
        [reviews[i] for i in chosen],
        solving,
        here("revise"),
    )
    by_task = [tuple(reviews[at : at + n]) for at in range(0, len(reviews), n)]
    return tuple(_split(documents, step, posed, groups, by_task, revisions))


def _solve(
    sampler: Sampler,
    renderer: Renderer,
    tasks: Sequence[Task],
    game: GameConfig,
    params: SamplingParams,
    conditioned: bool,
    seed: Callable[[str], int],
) -> tuple[tuple[Attempt, ...], ...]:
    """Solves each task N times, half of the attempts under the positive words if conditioned."""
    n = game.solutions_per_mask
    # Half are made without words even so: what words know soon shows without them.
    plain = n // 2 if conditioned else n
    words = positive_condition("solve", renderer.words)
    asked = ((n - plain, words, "solve"), (plain, None, "solve plainly"))
    parts = [
        solve.solve(sampler, renderer, tasks, count, params, condition, seed(name))
        for count, condition, name in asked
        if count
    ]
    return tuple(
        tuple(replace(attempt, index=at) for at, attempt in enumerate(chain.from_iterable(group)))
        for group in zip(*parts, strict=True)
    )


def _split(
    documents: Sequence[Document],
    step: int,
    posed: Sequence[pose.Posed],
    groups: Sequence[tuple[Attempt, ...]],
    reviews: Sequence[tuple[Review, ...]],
    revisions: Sequence[Attempt],
) -> Iterator[Played]:
    """Gives each document its part of the step."""
    at = 0
    for document, one in zip(documents, posed, strict=True):
        part = slice(at, at + len(one.tasks))
        at = part.stop
        ids = {task.id for task in one.tasks}
        episode = Episode(
            step=step,
            document=document,
            tasks=one.tasks,
            attempts=tuple(groups[part]),
            reviews=tuple(reviews[part]),  # none where attempts are not reviewed
            revisions=tuple(revision for revision in revisions if revision.task_id in ids),
            pose_rollouts=one.rollouts,
        )
        yield Played(episode, one.proposed_valid, one.random_filled, one.invalid)


def _own_critic(sampler: Sampler, renderer: Renderer, params: SamplingParams, seed: int) -> Critic:
    """The policy itself, with the hidden span in view."""

    def critic(tasks: Sequence[Task], attempts: Sequence[Attempt]) -> Sequence[Review]:
        return review.review(sampler, renderer, tasks, attempts, True, params, seed)

    return critic


def _to_review(
    posed: Sequence[pose.Posed], groups: Sequence[tuple[Attempt, ...]], most: int
) -> list[int]:
    """Chooses which attempts of a step are reviewed, document by document."""
    rest = iter(groups)
    chosen: list[int] = []
    first = 0
    for one in posed:
        part = list(islice(rest, len(one.tasks)))
        chosen += [first + at for at in _hardest(part, most)]
        first += sum(map(len, part))
    return chosen


def _hardest(groups: Sequence[Sequence[Attempt]], most: int) -> list[int]:
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
            texts = dict.fromkeys(one.rollout.text for one in group if one.correct is correct)
            side += [(turn, solved, task, text) for turn, text in enumerate(texts)]
    wrong, right = (sorted(sides[correct]) for correct in (False, True))
    turns = chain.from_iterable(zip_longest(wrong, right[: len(wrong)] if most else right))
    chosen = {one[2:] for one in islice((one for one in turns if one), most or None)}
    flat = [(task, one.rollout.text) for task, group in enumerate(groups) for one in group]
    return [at for at, one in enumerate(flat) if one in chosen]


def _to_revise(
    attempts: Sequence[Attempt], reviews: Sequence[Review], a_task: int, seed: int
) -> list[int]:
    """Chooses wrong attempts with an honest review, at most ``a_task`` of each task."""
    by_task: dict[str, list[int]] = {}
    for i, (attempt, review_) in enumerate(zip(attempts, reviews, strict=True)):
        if not attempt.correct and keep_review(review_, False):
            by_task.setdefault(attempt.task_id, []).append(i)
    rng = random.Random(seed)
    return sorted(
        chain.from_iterable(
            rng.sample(indices, min(a_task, len(indices))) for indices in by_task.values()
        )
    )
