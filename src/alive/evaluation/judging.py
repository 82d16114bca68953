"""Answers of anybody, judged blind: what ``alive judge`` says of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alive.config import SamplingConfig
from alive.evaluation.reviewer import FrozenAttempt, ReviewerScores, judge, score_reviews
from alive.evaluation.rows import Answered
from alive.evaluation.suites import SuiteItem, as_task
from alive.protocols import Sampler
from alive.types import Attempt, Prompt, Review, Rollout
from alive.verify import extract_answer, final_answer, matches

if TYPE_CHECKING:
    from alive.prompts.render import Renderer

__all__ = ["Calibration", "Judgement", "judge_answers", "scores_of"]

SURE = 1e-3
"""Least distance of a probability from 0 and 1 where it is calibrated."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a reviewer that knows no answer says of one.

    Attributes:
        answered: What was judged.
        review: The review; its score is ten times the probability of being right.
        correct: Whether it is right; None where the file does not tell.
        probability: Of being right, 0..1; None where the review gives no score.
    """

    answered: Answered
    review: Review
    correct: bool | None
    probability: float | None

    def as_row(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        said = {True: "right", False: "wrong", None: None}[self.review.verdict]
        probability = None if self.probability is None else round(self.probability, 4)
        row = {
            "id": self.answered.id,
            "question": self.answered.question,
            "attempt": self.answered.attempt,
            "verdict": said,
            "probability": probability,
            "first_wrong_step": self.review.faulty_step,
            "critique": self.review.text,
        }
        return row if self.correct is None else row | {"correct": self.correct}


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt's: what a reviewer states, as the share that turned out right.

    The probability p becomes ``sigmoid(slope * logit(p) + offset)``.
    """

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, probability: float) -> float:
        """Returns the calibrated probability."""
        return float(1 / (1 + math.exp(-(self.slope * _logit(probability) + self.offset))))

    @classmethod
    def fitted(cls, judged: Sequence[Judgement]) -> Calibration:
        """Fits it to judgements whose truth is known, by Newton's method with halved steps.

        A prior of slope 1 and offset 0, worth about one judgement, keeps it finite where few are
        there or right and wrong ones are told apart without a mistake.

        Raises:
            ValueError: None of them has both a probability and a truth.
        """
        pairs = [
            (_logit(one.probability), float(one.correct))
            for one in judged
            if one.probability is not None and one.correct is not None
        ]
        if not pairs:
            raise ValueError("nothing to calibrate on: no judgement with a known truth")
        stated, right = np.array(pairs).T
        design = np.stack([stated, np.ones_like(stated)], axis=1)
        prior = np.array([1.0, 0.0])

        def cost(weights: NDArray[np.float64]) -> float:
            logits = design @ weights
            return float(
                (np.logaddexp(0, logits) - right * logits).sum()
                + ((weights - prior) ** 2).sum() / 2
            )

        weights = prior
        for _ in range(100):
            chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
            slope = design.T @ (chance - right) + (weights - prior)
            curve = (design * (chance * (1 - chance))[:, None]).T @ design + np.eye(2)
            change = np.linalg.solve(curve, slope)
            while cost(weights - change) > cost(weights) and np.abs(change).max() > 1e-9:
                change /= 2
            weights = weights - change
            if np.abs(change).max() < 1e-9:
                break
        return cls(float(weights[0]), float(weights[1]))

    def applied(self, judged: Sequence[Judgement]) -> list[Judgement]:
        """Returns judgements with their probabilities calibrated."""
        return [
            one if one.probability is None else replace(one, probability=self(one.probability))
            for one in judged
        ]


async def judge_answers(
    sampler: Sampler,
    renderer: Renderer,
    answered: Sequence[Answered],
    sampling: SamplingConfig,
    seed: int,
) -> list[Judgement]:
    """Judges answers, greedily and without knowing what is right.

    Args:
        sampler: The policy.
        renderer: Its prompts.
        answered: What is judged.
        sampling: Token limits.
        seed: Of the draws; greedy decoding does not depend on it.
    """
    frozen = [_frozen(one, number, renderer.asks) for number, one in enumerate(answered)]
    reviews = await judge(sampler, renderer, frozen, sampling, seed)
    return [
        Judgement(one, written, _truth(one), None if written.score is None else written.score / 10)
        for one, written in zip(answered, reviews, strict=True)
    ]


def scores_of(judged: Sequence[Judgement]) -> ReviewerScores | None:
    """Compares judgements with the truth, where it is known; None where it is of none."""
    known = [one for one in judged if one.correct is not None]
    if not known:
        return None
    frozen = [_frozen(one.answered, at, True, bool(one.correct)) for at, one in enumerate(known)]
    reviews = [
        replace(one.review, score=None if one.probability is None else 10 * one.probability)
        for one in known
    ]
    return score_reviews(frozen, reviews)


def _frozen(answered: Answered, number: int, asks: bool, correct: bool = False) -> FrozenAttempt:
    # Ids of a user's file may repeat: the number tells answers apart.
    item = SuiteItem(f"{number}/{answered.id}", answered.question, answered.reference, "")
    rollout = Rollout(Prompt("solve", ()), (), (), answered.attempt, "stop", 0)
    answer = extract_answer(answered.attempt)
    return FrozenAttempt(as_task(item, asks), Attempt(item.id, 0, rollout, answer, correct))


def _truth(answered: Answered) -> bool | None:
    if answered.correct is not None or not answered.reference:
        return answered.correct
    said = extract_answer(answered.attempt) or final_answer(answered.attempt)
    return matches(said, final_answer(answered.reference))


def _logit(probability: float) -> float:
    kept = min(max(probability, SURE), 1 - SURE)
    return math.log(kept / (1 - kept))
