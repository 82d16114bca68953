"""Do the words mean anything yet? Accuracy under a positive against a negative condition.

Feedback conditioning is only worth trusting where the two separate (docs/algorithm.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alive.config import GameConfig
from alive.evaluation.statistics import Difference, paired_difference
from alive.feedback import negative_condition, positive_condition
from alive.prompts import Renderer
from alive.protocols import Sampler, SamplingParams
from alive.roles import pose, solve
from alive.seeding import derive
from alive.types import Document, Task

__all__ = ["Separation", "check_separation", "probe_tasks"]


@dataclass(frozen=True, slots=True)
class Separation:
    """What the check found.

    Attributes:
        positive: Sampled accuracy under the positive condition, 0..1.
        negative: The same under the negative one.
        gap: Positive minus negative, paired by task, with a 95 % interval.
    """

    positive: float
    negative: float
    gap: Difference

    @property
    def separates(self) -> bool:
        """Whether the whole interval of the gap lies above zero."""
        return self.gap.low is not None and self.gap.low > 0

    def as_dict(self) -> dict[str, object]:
        """Returns the figures as JSON values."""
        return {
            "positive": self.positive,
            "negative": self.negative,
            "gap": self.gap.mean,
            "gap_interval": [self.gap.low, self.gap.high],
            "separates": self.separates,
        }


async def check_separation(
    sampler: Sampler,
    renderer: Renderer,
    tasks: Sequence[Task],
    n: int,
    params: SamplingParams,
    seed: int,
) -> Separation:
    """Attempts each task ``n`` times under each of the two conditions.

    Args:
        sampler: The policy.
        renderer: Its prompts and words.
        tasks: At least one.
        n: Attempts a task and condition.
        params: How attempts are drawn, as in training.
        seed: Of the draws and the interval.
    """

    async def rate(task: Task, words: str) -> float:
        made = await solve.solve(sampler, renderer, task, n, params, words, seed)
        attempts = await solve.answered(sampler, renderer, task, made, params, derive(seed, words))
        return sum(attempt.correct for attempt in attempts) / n

    conditions = (positive_condition, negative_condition)
    positive, negative = await asyncio.gather(
        *(
            asyncio.gather(*(rate(task, condition("solve", renderer.words)) for task in tasks))
            for condition in conditions
        )
    )
    gap = paired_difference(negative, positive, derive(seed, "gap"))
    return Separation(sum(positive) / len(tasks), sum(negative) / len(tasks), gap)


async def probe_tasks(
    sampler: Sampler,
    renderer: Renderer,
    documents: Iterable[Document],
    count: int,
    game: GameConfig,
    params: SamplingParams,
    seed: int,
) -> list[Task]:
    """Poses tasks as training will, until there are ``count``.

    Args:
        sampler: The policy.
        renderer: Its prompts.
        documents: Where from; one given twice counts once.
        count: How many are wanted.
        game: How tasks are posed.
        params: How spans are drawn.
        seed: Of the draws.

    Returns:
        Fewer tasks where the documents hold fewer spans; none where they hold none.
    """
    tasks: dict[str, Task] = {}
    for document in documents:
        posed = await pose.pose(sampler, renderer, document, game, params, seed)
        tasks |= {task.id: task for task in posed.tasks}
        if len(tasks) >= count:
            break
    return list(tasks.values())[:count]
