"""Of several attempts at a problem the one that the policy's own reviewer believes in.

What it is held against is the same attempts' majority, and one of them alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alive.config import SamplingConfig
from alive.evaluation.statistics import (
    Difference,
    Estimate,
    estimate,
    paired_difference,
    proportion,
)
from alive.protocols import Sampler, SamplingParams
from alive.roles import review
from alive.seeding import derive
from alive.types import Attempt, Review, Task
from alive.verify import matches

if TYPE_CHECKING:
    from alive.prompts.render import Renderer

__all__ = ["BestOf", "Chosen", "believed", "choose", "count_best", "majority"]

UNSURE = 5.0
"""Score of a review that gives none: it says neither right nor wrong."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Several attempts at a problem, and which of them stands.

    Attributes:
        attempts: N of them.
        reviews: The blind review of each.
        best: Which one the reviewer believes in.
        usual: Which one says what most say.
    """

    attempts: tuple[Attempt, ...]
    reviews: tuple[Review, ...]
    best: int
    usual: int


@dataclass(frozen=True, slots=True)
class BestOf:
    """Counts over a set of problems.

    Attributes:
        n: Attempts at each.
        one: Accuracy of one of them.
        usual: Accuracy of their majority.
        best: Accuracy of what the reviewer chose.
        any: Share of problems that any of them solved: more nobody can choose.
        over_usual: Best minus majority, paired by problem.
        over_one: Best minus one, paired by problem.
    """

    n: int
    one: Estimate
    usual: Estimate
    best: Estimate
    any: Estimate
    over_usual: Difference
    over_one: Difference

    def as_dict(self) -> dict[str, object]:
        """Returns the measures as JSON values."""
        shares = {"one": self.one, "majority": self.usual, "best": self.best, "any": self.any}
        over = {"over_majority": self.over_usual, "over_one": self.over_one}
        values: dict[str, object] = {"n": self.n}
        for name, found in (shares | over).items():
            values[name] = found.mean
            values[f"{name}_interval"] = [found.low, found.high]
        return values


def majority(attempts: Sequence[Attempt]) -> int:
    """Returns which attempt is the first with the answer that most of them have."""
    return believed(attempts, [1.0] * len(attempts))


def believed(attempts: Sequence[Attempt], weights: Sequence[float]) -> int:
    """Returns which attempt is the first with the answer that has most weight in sum.

    Answers that the verifier takes for each other are one. An attempt without an answer is chosen
    where none has one, and of answers that weigh the same the first.

    Args:
        attempts: At least one.
        weights: One an attempt, at least 0.
    """
    said = _classes([attempt.answer for attempt in attempts])
    sums: dict[str, float] = {}
    for answer, weight in zip(said, weights, strict=True):
        if answer is not None:
            sums[answer] = sums.get(answer, 0.0) + weight
    if not sums:
        return 0
    best = max(sums.values())
    return next(at for at, one in enumerate(said) if one is not None and sums[one] == best)


def _classes(answers: Sequence[str | None]) -> list[str | None]:
    """Gives each answer the first one that means the same."""
    firsts: dict[str, str] = {}  # as it is written -> the first of its kind
    for answer in answers:
        if answer is not None and answer not in firsts:
            kinds = dict.fromkeys(firsts.values())
            firsts[answer] = next((one for one in kinds if matches(answer, one)), answer)
    return [None if answer is None else firsts[answer] for answer in answers]


async def choose(
    sampler: Sampler,
    renderer: Renderer,
    tasks: Sequence[Task],
    groups: Sequence[Sequence[Attempt]],
    sampling: SamplingConfig,
    seed: int,
) -> tuple[Chosen, ...]:
    """Judges attempts blind, and chooses one of each group by the probabilities of its answers.

    Args:
        sampler: The policy, as reviewer.
        renderer: Its prompts.
        tasks: One a group.
        groups: Attempts at each task.
        sampling: Token limits.
        seed: Of the draws; greedy decoding does not depend on it.
    """
    params = SamplingParams(sampling.review_tokens, temperature=0.0)
    owners = [task for task, group in zip(tasks, groups, strict=True) for _ in group]
    attempts = [attempt for group in groups for attempt in group]
    draw = derive(seed, "best of")
    written = await review.review_each(sampler, renderer, owners, attempts, False, params, draw)
    chosen, at = [], 0
    for group in groups:
        reviews = written[at : at + len(group)]
        at += len(group)
        chosen.append(
            Chosen(tuple(group), reviews, believed(group, _weights(reviews)), majority(group))
        )
    return tuple(chosen)


def _weights(reviews: Sequence[Review]) -> list[float]:
    return [UNSURE if one.score is None else one.score for one in reviews]


def count_best(chosen: Sequence[Chosen], seed: int) -> BestOf:
    """Counts what was chosen.

    Args:
        chosen: One a problem.
        seed: Of the resampling behind the intervals.

    Raises:
        ValueError: There is nothing to count.
    """
    if not chosen:
        raise ValueError("best-of needs at least one problem")
    shares = [sum(a.correct for a in one.attempts) / len(one.attempts) for one in chosen]
    best = [one.attempts[one.best].correct for one in chosen]
    usual = [one.attempts[one.usual].correct for one in chosen]
    solved = [any(a.correct for a in one.attempts) for one in chosen]
    total = len(chosen)
    return BestOf(
        n=len(chosen[0].attempts),
        one=estimate(shares, derive(seed, "one")),
        usual=proportion(sum(usual), total),
        best=proportion(sum(best), total),
        any=proportion(sum(solved), total),
        over_usual=paired_difference(usual, best, derive(seed, "majority")),
        over_one=paired_difference(shares, [float(one) for one in best], derive(seed, "one of")),
    )
