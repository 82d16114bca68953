"""The reviewer on frozen attempts: the same ones before and after training, of known outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alive.config import SamplingConfig
from alive.evaluation.statistics import area_under_roc, calibration_error
from alive.protocols import Sampler, SamplingParams
from alive.roles import review
from alive.types import Attempt, Prompt, Review, Rollout, Task

if TYPE_CHECKING:
    from alive.prompts.render import Renderer

__all__ = ["FrozenAttempt", "ReviewerScores", "freeze", "judge", "score_reviews"]


@dataclass(frozen=True, slots=True)
class FrozenAttempt:
    """An attempt kept to be judged by later policies.

    Attributes:
        task: What it is an attempt at.
        attempt: The attempt; whether it is right is known and never shown to the reviewer.
    """

    task: Task
    attempt: Attempt

    def as_row(self) -> dict[str, str | bool | None]:
        """Returns what ``from_row`` needs, as JSON values."""
        return {
            "id": self.task.id,
            "domain": self.task.domain,
            "passage": self.task.passage,
            "answer": self.task.span,
            "completion": self.attempt.rollout.text,
            "extracted": self.attempt.answer,
            "correct": self.attempt.correct,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, str | bool | None]) -> FrozenAttempt:
        """Restores a stored attempt; the token ids, which no reviewer reads, are not kept."""
        name, extracted = str(row["id"]), row["extracted"]
        task = Task(name, "", str(row["passage"]), str(row["answer"]), "random", str(row["domain"]))
        rollout = Rollout(Prompt("solve", ()), (), (), str(row["completion"]), "stop", 0)
        answer = None if extracted is None else str(extracted)
        return cls(task, Attempt(name, 0, rollout, answer, bool(row["correct"])))


@dataclass(frozen=True, slots=True)
class ReviewerScores:
    """How well blind verdicts agree with the truth.

    Attributes:
        n_right: Frozen attempts that are right.
        n_wrong: Frozen attempts that are wrong.
        passed_right: Right ones called right.
        passed_wrong: Wrong ones called right.
        unparsed: Reviews without a verdict; they call nothing right.
        ece: Expected calibration error of score / 10 as the probability of being right, over the
            reviews that gave a score; None if none did.
        auc: How often a right one is scored above a wrong one, 0..1, a review without a score as
            one that scores 0; None where either kind is missing.
    """

    n_right: int
    n_wrong: int
    passed_right: int
    passed_wrong: int
    unparsed: int
    ece: float | None
    auc: float | None = None

    @property
    def tpr(self) -> float | None:
        """Share of right attempts called right, 0..1; None without right attempts."""
        return self.passed_right / self.n_right if self.n_right else None

    @property
    def fpr(self) -> float | None:
        """Share of wrong attempts called right, 0..1; None without wrong attempts."""
        return self.passed_wrong / self.n_wrong if self.n_wrong else None

    @property
    def j(self) -> float | None:
        """Youden's J, TPR - FPR, -1..1: 0 is what a reviewer that ignores the attempt gets."""
        tpr, fpr = self.tpr, self.fpr
        return None if tpr is None or fpr is None else tpr - fpr

    def as_dict(self) -> dict[str, float | int | None]:
        """Returns counts and shares for the record."""
        return {
            "j": self.j,
            "tpr": self.tpr,
            "fpr": self.fpr,
            "ece": self.ece,
            "auc": self.auc,
            "n_right": self.n_right,
            "n_wrong": self.n_wrong,
            "unparsed": self.unparsed,
        }


def freeze(
    tasks: Sequence[Task], sampled: Sequence[Sequence[Attempt]]
) -> tuple[FrozenAttempt, ...]:
    """Keeps the first sampled attempt a task, to be judged from now on."""
    return tuple(FrozenAttempt(task, group[0]) for task, group in zip(tasks, sampled, strict=True))


async def judge(
    sampler: Sampler,
    renderer: Renderer,
    frozen: Sequence[FrozenAttempt],
    sampling: SamplingConfig,
    seed: int,
) -> tuple[Review, ...]:
    """Returns one blind, greedy review a frozen attempt."""
    params = SamplingParams(sampling.review_tokens, temperature=0.0)
    tasks, attempts = [item.task for item in frozen], [item.attempt for item in frozen]
    return await review.review_each(sampler, renderer, tasks, attempts, False, params, seed)


def score_reviews(frozen: Sequence[FrozenAttempt], reviews: Sequence[Review]) -> ReviewerScores:
    """Compares verdicts and scores with the truth; one review a frozen attempt, in order."""
    pairs = [(item.attempt.correct, r) for item, r in zip(frozen, reviews, strict=True)]
    scored = [(r.score / 10, right) for right, r in pairs if r.score is not None]
    scores, outcomes = [score for score, _ in scored], [right for _, right in scored]
    return ReviewerScores(
        n_right=sum(right for right, _ in pairs),
        n_wrong=sum(not right for right, _ in pairs),
        passed_right=sum(right and r.verdict is True for right, r in pairs),
        passed_wrong=sum(not right and r.verdict is True for right, r in pairs),
        unparsed=sum(r.verdict is None for _, r in pairs),
        ece=calibration_error(scores, outcomes),
        auc=area_under_roc([r.score or 0.0 for _, r in pairs], [right for right, _ in pairs]),
    )
