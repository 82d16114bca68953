"""Do the words mean anything yet? Accuracy under a positive against a negative condition.

Feedback conditioning is only worth trusting where the two separate (docs/algorithm.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alive.config import GameConfig
from alive.evaluation.statistics import Difference, paired_difference
from alive.feedback import negative_condition, positive_condition
from alive.prompts import Renderer
from alive.roles import solve
from alive.roles.pose import passage, random_spans, task_id
from alive.seeding import derive
from alive.types import Document, Sampler, SamplingParams, Task

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


def check_separation(
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
    rates: list[list[float]] = []
    for name, words in (
        ("positive", positive_condition("solve", renderer.words)),
        ("negative", negative_condition("solve", renderer.words)),
    ):
        groups = solve.solve(sampler, renderer, tasks, n, params, words, derive(seed, name))
        rates.append([sum(attempt.correct for attempt in group) / n for group in groups])
    positive, negative = rates
    gap = paired_difference(negative, positive, derive(seed, "gap"))
    return Separation(sum(positive) / len(tasks), sum(negative) / len(tasks), gap)


def probe_tasks(
    documents: Sequence[Document], count: int, game: GameConfig, seed: int
) -> list[Task]:
    """Draws about ``count`` distinct tasks with random spans, spread over the documents.

    Args:
        documents: Where from; a document given twice counts once.
        count: How many are wanted.
        game: The limits of a span.
        seed: Run seed.

    Returns:
        Fewer tasks where the documents hold fewer spans; none where they hold none.
    """
    distinct = {document.id: document for document in documents}.values()
    share = -(-count // len(distinct)) if distinct else 0
    return [
        Task(
            task_id(document, span),
            document.id,
            passage(document.text, span, game),
            span,
            "random",
            document.domain,
        )
        for document in distinct
        for span in random_spans(document, game, (), derive(seed, "probe", document.id))[:share]
    ]
