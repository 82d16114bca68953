"""Self-correction: attempt, blind review, second attempt. No label is used before the count."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alive.config import SamplingConfig
from alive.evaluation.statistics import Difference, paired_difference, proportion
from alive.protocols import Sampler, SamplingParams
from alive.roles import review, solve
from alive.types import Attempt, Review, Task

if TYPE_CHECKING:
    from alive.prompts.render import Renderer

__all__ = [
    "Correction",
    "SelfCorrection",
    "count_corrections",
    "revise_without_review",
    "self_correct",
]


@dataclass(frozen=True, slots=True)
class Correction:
    """What became of one attempt.

    Attributes:
        first: The attempt.
        review: Its blind review.
        revision: The second attempt; None where the review says right or did not parse.
    """

    first: Attempt
    review: Review
    revision: Attempt | None

    @property
    def final_correct(self) -> bool:
        """Whether the answer that stands in the end is right."""
        return (self.revision or self.first).correct


@dataclass(frozen=True, slots=True)
class SelfCorrection:
    """Counts over a set of corrections.

    Attributes:
        n_wrong: First attempts that are wrong.
        n_right: First attempts that are right.
        corrected: Wrong, then right.
        harmed: Right, then wrong.
        revised: Attempts that were revised at all.
        unparsed: Reviews without a verdict; their attempts stand.
        reviews_cut: Reviews that were cut at the token limit.
        change: Accuracy after minus before, paired by problem.
    """

    n_wrong: int
    n_right: int
    corrected: int
    harmed: int
    revised: int
    unparsed: int
    reviews_cut: int
    change: Difference

    @property
    def rate(self) -> float | None:
        """Corrected / n_wrong, 0..1; None if no first attempt is wrong."""
        return self.corrected / self.n_wrong if self.n_wrong else None

    @property
    def harm(self) -> float | None:
        """Harmed / n_right, 0..1; None if no first attempt is right."""
        return self.harmed / self.n_right if self.n_right else None

    @property
    def net(self) -> float:
        """Accuracy after minus before, -1..1."""
        return self.change.mean

    def as_dict(self) -> dict[str, object]:
        """Returns counts and shares, with their 95 % intervals, for the record."""
        return {
            "rate": self.rate,
            "rate_interval": _interval(self.corrected, self.n_wrong),
            "harm": self.harm,
            "harm_interval": _interval(self.harmed, self.n_right),
            "net": self.net,
            "net_interval": [self.change.low, self.change.high],
            "n_wrong": self.n_wrong,
            "n_right": self.n_right,
            "corrected": self.corrected,
            "harmed": self.harmed,
            "revised": self.revised,
            "unparsed": self.unparsed,
            "reviews_cut": self.reviews_cut,
        }


async def self_correct(
    sampler: Sampler,
    renderer: Renderer,
    tasks: Sequence[Task],
    attempts: Sequence[Attempt],
    sampling: SamplingConfig,
    seed: int,
) -> tuple[Correction, ...]:
    """Reviews each attempt blindly, and revises (greedily) those the review calls wrong.

    Args:
        sampler: The policy, as solver, reviewer and reviser.
        renderer: Its prompts.
        tasks: One an attempt.
        attempts: The first attempts, in the same order.
        sampling: Token limits.
        seed: Of the draws; greedy decoding does not depend on it.
    """
    judging = SamplingParams(sampling.review_tokens, temperature=0.0)
    solving = SamplingParams(sampling.solve_tokens, temperature=0.0)

    async def correct(task: Task, first: Attempt) -> Correction:
        critique = await review.review(sampler, renderer, task, first, False, judging, seed)
        if critique.verdict is not False:
            return Correction(first, critique, None)
        second = await solve.revise(sampler, renderer, task, first, critique, solving, seed)
        return Correction(first, critique, second)

    corrections = await asyncio.gather(*map(correct, tasks, attempts))
    return tuple(corrections)


async def revise_without_review(
    sampler: Sampler,
    renderer: Renderer,
    tasks: Sequence[Task],
    attempts: Sequence[Attempt],
    sampling: SamplingConfig,
    seed: int,
) -> tuple[Attempt, ...]:
    """Revises attempts (greedily) after words that say nothing: a control.

    Args:
        sampler: The policy, as reviser.
        renderer: Its prompts.
        tasks: One an attempt.
        attempts: The first attempts, in the same order.
        sampling: Token limits.
        seed: Of the draws; greedy decoding does not depend on it.
    """
    text = renderer.words.content_free
    params = SamplingParams(sampling.solve_tokens, temperature=0.0)

    async def revise(task: Task, first: Attempt) -> Attempt:
        empty_review = review.from_text(task, first, text, privileged=False)
        return await solve.revise(sampler, renderer, task, first, empty_review, params, seed)

    return tuple(await asyncio.gather(*map(revise, tasks, attempts)))


def count_corrections(corrections: Sequence[Correction], seed: int) -> SelfCorrection:
    """Counts what changed.

    Args:
        corrections: One a problem.
        seed: Of the resampling behind the interval of the change.

    Raises:
        ValueError: There is nothing to count.
    """
    if not corrections:
        raise ValueError("self-correction needs at least one attempt")
    right = [c for c in corrections if c.first.correct]
    wrong = [c for c in corrections if not c.first.correct]
    return SelfCorrection(
        n_wrong=len(wrong),
        n_right=len(right),
        corrected=sum(c.final_correct for c in wrong),
        harmed=sum(not c.final_correct for c in right),
        revised=sum(c.revision is not None for c in corrections),
        unparsed=sum(c.review.verdict is None for c in corrections),
        reviews_cut=sum(
            c.review.rollout is not None and c.review.rollout.stop == "length" for c in corrections
        ),
        change=paired_difference(
            [c.first.correct for c in corrections], [c.final_correct for c in corrections], seed
        ),
    )


def _interval(count: int, n: int) -> list[float] | None:
    if not n:
        return None
    share = proportion(count, n)
    return [share.low, share.high]
