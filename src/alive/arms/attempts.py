"""What the solver learns from its attempts at a task, under words and plainly. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from alive.config import LearnConfig
from alive.feedback import condition, may_guide, positive_condition, solve_condition
from alive.prompts import Renderer
from alive.types import Attempt, Document, Prompt, Review, Role, Task, Trained, TrainingRecord

__all__ = ["Learned", "record"]

PLAIN_SHARE = 0.7
"""Of what a right attempt teaches, the share under the plain prompt, which is what is measured."""

TRIVIAL_WEIGHT = 0.3
"""Of a task that every attempt solved, relative to others: what it asks for is nearly known."""


class Learned:
    """What the solver learns from the attempts at one task.

    Args:
        task: The task.
        document: What it was made of.
        attempts: All attempts at it.
        corrected: How many of them were corrected.
        renderer: Renders the training prompts.
        learn: The weights.
        conditioned: Whether attempts train under words.
    """

    def __init__(
        self,
        task: Task,
        document: Document,
        attempts: Sequence[Attempt],
        corrected: int,
        renderer: Renderer,
        learn: LearnConfig,
        conditioned: bool,
    ) -> None:
        """Weighs the task."""
        self.task, self.document, self.renderer = task, document, renderer
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
        distilled = self._distilled(attempt, review)
        words = self._true_words(attempt, review) if self.conditioned else None
        if words is None:
            return Trained(weight=self.share), [*distilled, self._plainly(attempt, self.share)]
        prompt = self.renderer.solve(self.task.passage, words)
        return Trained(words, self.share), [
            *distilled,
            self._plainly(attempt, self.share * PLAIN_SHARE),
            record(self.task, attempt, prompt, self.share * (1 - PLAIN_SHARE)),
        ]

    def wrong(self, attempt: Attempt, review: Review) -> tuple[Trained, list[TrainingRecord]]:
        """It trains under its own words, where it trains at all."""
        distilled = self._distilled(attempt, review)
        weight = self.learn.negative_weight
        reason = _unusable(review, attempt, self.task.span) or (
            "" if weight and self.conditioned else "wrong"
        )
        if reason:
            return (Trained(weight=1.0) if distilled else Trained(dropped=reason)), distilled
        words = solve_condition(review, self.task.span)
        prompt = self.renderer.solve(self.task.passage, words)
        return Trained(words, weight), [*distilled, record(self.task, attempt, prompt, weight)]

    def corrected(self, revision: Attempt) -> TrainingRecord:
        """It trains as an attempt."""
        return self._plainly(revision, self.learn.corrected_weight * self.share)

    def _true_words(self, attempt: Attempt, review: Review) -> str | None:
        """The words of a right attempt's own review, else those that are true of every one."""
        span = self.task.span
        own = None if _unusable(review, attempt, span) else solve_condition(review, span)
        return own or condition(positive_condition("solve", self.renderer.words), span)

    def _distilled(self, attempt: Attempt, review: Review) -> list[TrainingRecord]:
        """The plain prompt follows, token by token, what is written by who has read more.

        The attempt is where the policy went without help; under the words its own distribution
        moves away from the error, and that is what is learned (docs/algorithm.md). Of an attempt
        that ran on without an answer nothing is: who follows it word for word runs on as well.
        """
        if not self.learn.distil_weight or attempt.answer is None:
            return []
        informed = self._informed(attempt, review)
        if informed is None:
            return []
        followed = record(self.task, attempt, self.plain, 1.0)
        return [replace(followed, loss="distil", informed_prompt_ids=informed.ids)]

    def _informed(self, attempt: Attempt, review: Review) -> Prompt | None:
        """The prompt of who has read more; None where there is nothing to read."""
        passage = self.task.passage
        if self.learn.distil_from == "text":
            return self.renderer.inform(passage, self.document.text)
        if self.learn.distil_from == "nothing":
            return self.plain
        if attempt.correct or not may_guide(review, self.task.span):
            return None
        empty = self.learn.distil_from == "empty"
        said = self.renderer.words.content_free if empty else review.text
        return self.renderer.revise(passage, attempt.rollout.text, said)

    def _plainly(self, attempt: Attempt, weight: float) -> TrainingRecord:
        return record(self.task, attempt, self.plain, weight)


def _unusable(review: Review, attempt: Attempt, span: str) -> str:
    """Says why a review's words may not be trained under; empty where they may."""
    if not review.given:
        return "not reviewed"
    if review.verdict is None:
        return "review unparsed"
    if review.verdict is not attempt.correct:
        return "review deceptive"
    if review.hollow:
        return f"review {review.hollow}"
    return "" if solve_condition(review, span) else "review leaks or says nothing"


def record(
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
