"""The ALIVE arm: an episode to training records, everything a completion under words. Pure.

After warm-up every word that trains the policy is the policy's own. The text's truth filters those
words (a deceptive or leaking critique trains nobody) and is never a reward.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from alive.config import LearnConfig
from alive.feedback import (
    class_weights,
    condition,
    keep_review,
    may_guide,
    pass_rate_words,
    positive_condition,
    solve_condition,
)
from alive.prompts import Renderer
from alive.roles.pose import BLAMELESS
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

PLAIN_SHARE = 0.7
"""Of what a right attempt teaches, the share under the plain prompt, which is what is measured."""

TRIVIAL_WEIGHT = 0.3
"""Of a task that every attempt solved, relative to others: what it asks for is nearly known."""


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
        learned = _Learned(task, attempts, len(corrected), renderer, learn, conditioned)
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
            training.append(_record(task, revision, revision.rollout.prompt, 1.0))
    return training, outcomes


class _Learned:
    """What the solver learns from the attempts at one task."""

    def __init__(
        self,
        task: Task,
        attempts: Sequence[Attempt],
        corrected: int,
        renderer: Renderer,
        learn: LearnConfig,
        conditioned: bool,
    ) -> None:
        self.task, self.renderer = task, renderer
        self.learn, self.conditioned = learn, conditioned
        self.plain = renderer.solve(task.passage, None)
        right = sum(attempt.correct for attempt in attempts)
        # A task that most attempts got right must not drown one that few did.
        self.share = 1 / max(1, right + (corrected if learn.corrected_weight else 0))
        if right == len(attempts):
            self.share *= TRIVIAL_WEIGHT

    def right(self, attempt: Attempt, review: Review) -> tuple[Trained, list[TrainingRecord]]:
        """The text confirms it: it trains under the words that are true of it, and plainly.

        Learned under one of the two alone, what the other knows is pushed past its mark
        (docs/LOG.md, 19).
        """
        if not self.conditioned:
            return Trained(weight=self.share), [self._plainly(attempt, self.share)]
        span = self.task.span
        words = None if _unusable(review, attempt, span) else solve_condition(review, span)
        words = words or condition(positive_condition("solve", self.renderer.words), span)
        if words is None:
            return Trained(weight=self.share), [self._plainly(attempt, self.share)]
        prompt = self.renderer.solve(self.task.passage, words)
        return Trained(words, self.share), [
            self._plainly(attempt, self.share * PLAIN_SHARE),
            _record(self.task, attempt, prompt, self.share * (1 - PLAIN_SHARE)),
        ]

    def wrong(self, attempt: Attempt, review: Review) -> tuple[Trained, list[TrainingRecord]]:
        """It trains under its own words, where it trains at all."""
        if reason := _unusable(review, attempt, self.task.span):
            return Trained(dropped=reason), []
        distilled = self._distilled(attempt, review)
        weight = self.learn.negative_weight
        if not (weight and self.conditioned):
            return (Trained(weight=1.0), distilled) if distilled else (Trained(dropped="wrong"), [])
        words = solve_condition(review, self.task.span)
        prompt = self.renderer.solve(self.task.passage, words)
        return Trained(words, weight), [
            *distilled, _record(self.task, attempt, prompt, weight),
        ]  # fmt: skip

    def _distilled(self, attempt: Attempt, review: Review) -> list[TrainingRecord]:
        """The plain prompt follows, token by token, what is written after the attempt's review.

        The attempt is where the policy went without help; under the review its own distribution
        moves away from the error, and that is what is learned (docs/algorithm.md). Of an attempt
        that ran on without an answer nothing is: who follows it word for word runs on as well.
        """
        guided = attempt.answer is not None and may_guide(review, self.task.span)
        if not (self.learn.distil_weight and guided):
            return []
        informed = self.renderer.revise(self.task.passage, attempt.rollout.text, review.text)
        record = _record(self.task, attempt, self.plain, 1.0)
        return [replace(record, loss="distil", informed_prompt_ids=informed.ids)]

    def corrected(self, revision: Attempt) -> TrainingRecord:
        """It trains as an attempt."""
        return self._plainly(revision, self.learn.corrected_weight * self.share)

    def _plainly(self, attempt: Attempt, weight: float) -> TrainingRecord:
        return _record(self.task, attempt, self.plain, weight)


def _unusable(review: Review, attempt: Attempt, span: str) -> str:
    """Says why a review's words may not be trained under; empty where they may."""
    if not review.given:
        return "not reviewed"
    if review.verdict is None:
        return "review unparsed"
    if review.verdict is not attempt.correct:
        return "review deceptive"
    return "" if solve_condition(review, span) else "review leaks or says nothing"


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


def _record(
    task: Task,
    attempt: Attempt,
    prompt: Prompt,
    weight: float,
    completion_ids: tuple[int, ...] | None = None,
) -> TrainingRecord:
    """Makes a record of an attempt, or of the beginning of it that ``completion_ids`` is."""
    role: Role = prompt.role
    rollout = attempt.rollout
    ids = rollout.completion_ids if completion_ids is None else completion_ids
    return TrainingRecord(
        role, prompt.ids, ids, weight, task.document_id, task.id, attempt.index,
        sampling_logprobs=rollout.logprobs[: len(ids)], policy_version=rollout.policy_version,
    )  # fmt: skip
