"""The ALIVE arm: an episode to training records, everything a completion under words. Pure.

After warm-up every word that trains the policy is the policy's own. The text's truth filters those
words (a deceptive or leaking critique trains nobody) and is never a reward.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from alive.arms.attempts import Learned, record
from alive.config import LearnConfig
from alive.feedback import (
    class_weights,
    keep_review,
    pass_rate_words,
)
from alive.prompts import Renderer
from alive.roles.pose import BLAMELESS
from alive.seeding import derive
from alive.types import (
    Attempt,
    Episode,
    Review,
    Task,
    Trained,
    TrainingKey,
    TrainingRecord,
)


def records(
    episode: Episode,
    renderer: Renderer,
    learn: LearnConfig,
    *,
    conditioned: bool = True,
    privileged_too: bool = False,
) -> tuple[list[TrainingRecord], dict[TrainingKey, Trained]]:
    """Turns an episode into what the policy learns from it.

    Args:
        episode: One document's game.
        renderer: Renders the training prompts.
        learn: The weights.
        conditioned: Whether conditions were found to separate; where not, attempts train under
            the plain prompt alone (docs/algorithm.md).
        privileged_too: Whether it is warm-up: the privileged view learns the critiques as well, and
            every honest one teaches.

    Returns:
        The records, and the outcome of each attempt.
    """
    training: list[TrainingRecord] = []
    outcomes: dict[TrainingKey, Trained] = {}
    for task, attempts, reviews in zip(
        episode.tasks, episode.attempts, episode.reviews, strict=True
    ):
        rate = sum(attempt.correct for attempt in attempts) / len(attempts)
        corrected = [r for r in episode.revisions if r.task_id == task.id and r.correct]
        pose_words = pass_rate_words(
            True, rate, len(attempts), renderer.words, corrected=bool(corrected)
        )
        training.append(_pose_record(episode, task, pose_words, renderer))
        learned = Learned(
            task, episode.document, attempts, len(corrected), renderer, learn, conditioned
        )
        for attempt, review in zip(attempts, reviews, strict=True):
            outcome, solved = (
                learned.right(attempt, review)
                if attempt.correct
                else learned.wrong(attempt, review)
            )
            outcomes[task.id, attempt.index, "solve"] = replace(outcome, pose_words=pose_words)
            training += solved
        training += [
            learned.corrected(revision) for revision in corrected if learn.corrected_weight
        ]
    training += _unusable_records(episode, renderer)
    training += _review_records(episode, renderer, privileged_too)
    for revision in episode.revisions:
        outcome = Trained(weight=1.0) if revision.correct else Trained(dropped="still wrong")
        outcomes[revision.task_id, revision.index, "revise"] = outcome
        if outcome.weight:
            task = next(task for task in episode.tasks if task.id == revision.task_id)
            training.append(record(task, revision, revision.rollout.prompt, 1.0))
    return training, outcomes


def _pose_record(
    episode: Episode, task: Task, pose_words: str, renderer: Renderer
) -> TrainingRecord:
    """The poser hears what became of its span: hindsight words, no score."""
    prompt = renderer.pose(episode.document.text, pose_words)
    lineage = task.document_id, task.id
    if task.pose is None:
        return TrainingRecord("pose", prompt.ids, renderer.complete(task.span), 1.0, *lineage)
    return TrainingRecord(
        "pose", prompt.ids, task.pose.completion_ids, 1.0, *lineage,
        sampling_logprobs=task.pose.logprobs, policy_version=task.pose.policy_version,
    )  # fmt: skip


def _unusable_records(episode: Episode, renderer: Renderer) -> Iterator[TrainingRecord]:
    """The poser hears of proposals that were no task; together they weigh as one that was.

    Not of those that were refused for what was posed beside or before them.
    """
    refused = [
        rollout
        for rollout, reason in zip(episode.pose_rollouts, episode.pose_reasons, strict=True)
        if reason is not None and reason not in BLAMELESS
    ]
    said = pass_rate_words(False, 0.0, 1, renderer.words)
    prompt = renderer.pose(episode.document.text, said) if refused else None
    for rollout in refused:
        assert prompt is not None
        yield TrainingRecord(
            "pose", prompt.ids, rollout.completion_ids, 1 / len(refused), episode.document.id,
            sampling_logprobs=rollout.logprobs, policy_version=rollout.policy_version,
        )  # fmt: skip


def _review_records(
    episode: Episode, renderer: Renderer, privileged_too: bool
) -> Iterator[TrainingRecord]:
    """Privileged words under the blind input; right and wrong attempts weigh the same in sum.

    Attempts that share one review (identical completions) make one record. Half of the reviews
    stand there up to a step already. Who knows that an attempt is wrong blames some step or other:
    of the policy's own critiques of wrong attempts those teach after which the attempt was
    corrected (docs/LOG.md, 21). Where none was, all do: else a policy that cannot correct itself
    yet would never hear that an attempt was wrong.
    """
    corrected = {(r.task_id, r.index) for r in episode.revisions if r.correct}
    kept: dict[tuple[str, str], tuple[Task, Attempt, Review]] = {}
    for task, attempts, reviews in zip(
        episode.tasks, episode.attempts, episode.reviews, strict=True
    ):
        for attempt, review in zip(attempts, reviews, strict=True):
            own = review.rollout is not None and bool(corrected)
            if (
                own
                and not privileged_too
                and not attempt.correct
                and (task.id, attempt.index) not in corrected
            ):
                continue
            if keep_review(review, attempt.correct):
                kept.setdefault((task.id, attempt.rollout.text), (task, attempt, review))
    weights = class_weights([attempt.correct for _, attempt, _ in kept.values()])
    for (task, attempt, review), weight in zip(kept.values(), weights, strict=True):
        written = review.rollout
        ids = written.completion_ids if written else renderer.complete(review.text)
        spans = (None, task.span) if privileged_too else (None,)
        for span in spans:
            text = attempt.rollout.text
            prompt = renderer.review(task.passage, text, span, attempt.correct)
            sound = renderer.sound_lines(review.text)
            prefilled = renderer.lines(ids, _prefilled_lines(attempt, sound))
            prompt = replace(prompt, ids=prompt.ids + prefilled)
            lineage = task.document_id, task.id, attempt.index
            yield TrainingRecord(
                "review", prompt.ids, ids[len(prefilled) :], weight, *lineage,
                sampling_logprobs=written.logprobs[len(prefilled) :] if written else (),
                policy_version=written.policy_version if written else -1,
            )  # fmt: skip


def _prefilled_lines(attempt: Attempt, sound: int) -> int:
    """Draws how many lines of a review stand there already and are not learned.

    Of every second one none; else all before the faulty step, or any of a right attempt's. It saves
    tokens and makes the reviewer stricter; all cut, it is too strict (docs/LOG.md, 26).
    """
    draw = derive("given", attempt.task_id, attempt.index)
    if draw % 2 or not sound:
        return 0
    return draw // 2 % sound if attempt.correct else sound
