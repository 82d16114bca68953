"""The ALIVE arm: an episode to training records, everything a completion under words. Pure.

After warm-up every word that trains the policy is the policy's own. The text's truth filters those
words (a deceptive or leaking critique trains nobody) and is never a reward.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice, zip_longest

from alive.config import LearnConfig
from alive.feedback import class_weights, keep_review, pass_rate_words, solve_condition
from alive.prompts import Renderer
from alive.seeding import derive
from alive.types import (
    Attempt,
    Episode,
    Prompt,
    Review,
    Role,
    Task,
    Trained,
    TrainingKey,
    TrainingRecord,
)


def records(
    episode: Episode,
    renderer: Renderer,
    learn: LearnConfig,
    seed: int,
    *,
    conditioned: bool = True,
    privileged_too: bool = False,
) -> tuple[list[TrainingRecord], dict[TrainingKey, Trained]]:
    """Turns an episode into what the policy learns from it.

    Args:
        episode: One document's game.
        renderer: Renders the training prompts.
        learn: Weights and the condition dropout.
        seed: Run seed, for the dropout's draws.
        conditioned: Whether conditions were found to separate; where not, attempts train under
            the plain prompt alone (docs/algorithm.md).
        privileged_too: Whether the privileged view learns the critiques as well, as it must when
            they are a teacher's.

    Returns:
        The records, and the fate of each attempt.
    """
    made: list[TrainingRecord] = []
    fates: dict[TrainingKey, Trained] = {}
    for task, attempts, reviews in zip(
        episode.tasks, episode.attempts, episode.reviews, strict=True
    ):
        rate = sum(attempt.correct for attempt in attempts) / len(attempts)
        said = pass_rate_words(True, rate, len(attempts), renderer.words)
        made.append(_pose_record(episode, task, said, renderer))
        plain = [
            not conditioned or (attempt.correct and _dropped(episode, attempt, learn, seed))
            for attempt in attempts
        ]
        repaired = [r for r in episode.revisions if r.task_id == task.id and r.correct]
        found = _solve_records(task, attempts, reviews, plain, repaired, learn, said, renderer)
        for attempt, fate, record in found:
            made += [record] if record else []
            if fate:
                fates[task.id, attempt.index, "solve"] = fate
    made += _review_records(episode, renderer, learn.reviews_per_task, privileged_too)
    for revision in episode.revisions:
        fate = Trained(weight=1.0) if revision.correct else Trained(dropped="still wrong")
        fates[revision.task_id, revision.index, "revise"] = fate
        if fate.weight:
            task = next(task for task in episode.tasks if task.id == revision.task_id)
            made.append(_record(task, revision, revision.rollout.prompt, 1.0))
    return made, fates


def _dropped(episode: Episode, attempt: Attempt, learn: LearnConfig, seed: int) -> bool:
    """Draws whether a right attempt trains without its words, so that the plain prompt learns."""
    rng = random.Random(derive(seed, "dropout", episode.step, attempt.task_id, attempt.index))
    return rng.random() < learn.condition_dropout


def _solve_records(
    task: Task,
    attempts: Sequence[Attempt],
    reviews: Sequence[Review],
    plain: Sequence[bool],
    repaired: Sequence[Attempt],
    learn: LearnConfig,
    said: str,
    renderer: Renderer,
) -> Iterator[tuple[Attempt, Trained | None, TrainingRecord | None]]:
    """Yields each attempt with its fate and its record, then the repaired ones with theirs."""
    right = sum(attempt.correct for attempt in attempts)
    # A task that most attempts got right must not drown one that few did.
    share = 1 / max(1, right + (len(repaired) if learn.repair_weight else 0))
    lucky = right < max(2, learn.min_pass_rate * len(attempts))
    for attempt, review, alone in zip(attempts, reviews, plain, strict=True):
        fate = _fate(attempt, review, learn, said, plain=alone, lucky=lucky and attempt.correct)
        ids = attempt.rollout.completion_ids
        if attempt.correct:
            fate = replace(fate, weight=fate.weight * share)
        elif fate.dropped == "wrong" and review.faulty_step and learn.locate_weight:
            # What came before the first faulty step was right: it trains as right, it alone.
            ids = renderer.lines(ids, review.faulty_step - 1)
            if ids:
                weight, lines = learn.locate_weight / len(attempts), review.faulty_step - 1
                fate = Trained(weight=weight, pose_words=said, lines=lines)
        prompt = renderer.solve(task.passage, fate.feedback)
        record = _record(task, attempt, prompt, fate.weight, ids) if fate.weight else None
        if record and fate.feedback is None:
            record = _taught(record, attempt, learn)
        yield attempt, fate, record
    for revision in repaired if learn.repair_weight else ():
        prompt = renderer.solve(task.passage, None)
        record = _record(task, revision, prompt, learn.repair_weight * share)
        yield revision, None, _taught(record, revision, learn)


def _taught(record: TrainingRecord, attempt: Attempt, learn: LearnConfig) -> TrainingRecord:
    """What was written under other words, or after a review, is taught as it was known there."""
    asked = attempt.rollout.prompt.ids
    if not learn.distil_share or asked == record.prompt_ids:
        return record
    return replace(record, teacher_ids=asked)


def _pose_record(episode: Episode, task: Task, said: str, renderer: Renderer) -> TrainingRecord:
    """The poser hears what became of its span: hindsight words, no score."""
    prompt = renderer.pose(episode.document.text, said)
    ids = task.pose.completion_ids if task.pose else renderer.complete(task.span)
    return TrainingRecord("pose", prompt.ids, ids, 1.0, task.document_id, task.id)


def _fate(
    attempt: Attempt,
    review: Review,
    learn: LearnConfig,
    said: str,
    *,
    plain: bool,
    lucky: bool,
) -> Trained:
    """Decides under which words an attempt trains, if at all.

    A single right answer to a task that nobody else solved says more of chance than of its working.
    """
    if lucky:
        return Trained(dropped="luck", pose_words=said)
    if not review.given:
        # The text confirms a right attempt by itself; without words of its own it trains plainly.
        fate = Trained(weight=1.0) if attempt.correct else Trained(dropped="not reviewed")
        return replace(fate, pose_words=said)
    if review.verdict is None:
        return Trained(dropped="review unparsed", pose_words=said)
    if review.verdict is not attempt.correct:
        return Trained(dropped="review deceptive", pose_words=said)
    words = solve_condition(review)
    if words is None:
        return Trained(dropped="review leaks or says nothing", pose_words=said)
    weight = 1.0 if attempt.correct else learn.negative_weight
    if not weight or (plain and not attempt.correct):
        return Trained(dropped="wrong", pose_words=said)
    return Trained(feedback=None if plain else words, weight=weight, pose_words=said)


def _review_records(
    episode: Episode, renderer: Renderer, limit: int, privileged_too: bool
) -> Iterator[TrainingRecord]:
    """Privileged words under the blind input; right and wrong attempts weigh the same in sum.

    Attempts that share one review (identical completions) make one record.
    """
    kept: list[tuple[Task, Attempt, Review]] = []
    for task, attempts, reviews in zip(
        episode.tasks, episode.attempts, episode.reviews, strict=True
    ):
        sides: dict[bool, dict[str, tuple[Task, Attempt, Review]]] = {True: {}, False: {}}
        for attempt, review in zip(attempts, reviews, strict=True):
            if keep_review(review, attempt.correct):
                side = sides[attempt.correct]
                side.setdefault(attempt.rollout.text, (task, attempt, review))
        turns = chain.from_iterable(zip_longest(*(side.values() for side in sides.values())))
        chosen = islice((one for one in turns if one), limit or None)
        kept += sorted(chosen, key=lambda one: one[1].index)
    weights = class_weights([attempt.correct for _, attempt, _ in kept])
    for (task, attempt, review), weight in zip(kept, weights, strict=True):
        written = review.rollout
        ids = written.completion_ids if written else renderer.complete(review.text)
        spans = (None, task.span) if privileged_too else (None,)
        for span in spans:
            prompt = renderer.review(task.passage, attempt.rollout.text, span)
            yield _record(task, attempt, prompt, weight, ids)


def _record(
    task: Task,
    attempt: Attempt,
    prompt: Prompt,
    weight: float,
    completion_ids: tuple[int, ...] | None = None,
) -> TrainingRecord:
    role: Role = prompt.role
    ids = attempt.rollout.completion_ids if completion_ids is None else completion_ids
    return TrainingRecord(role, prompt.ids, ids, weight, task.document_id, task.id, attempt.index)
