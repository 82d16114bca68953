"""Group-relative policy optimisation: the match with the text is a reward. Pure.

As it is practised now: advantages normalised within the group, groups without variance dropped,
token-level normalisation and a higher upper clip (DAPO, arXiv 2503.14476), no KL term.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from alive.types import Episode, Trained, TrainingKey, TrainingRecord

EPSILON = 1e-4
"""Added to a group's standard deviation, as TRL does."""


def advantages(rewards: Sequence[float]) -> list[float]:
    """``(r_i - mean) / (std + EPSILON)`` with the sample's standard deviation; N >= 2."""
    n = len(rewards)
    mean = sum(rewards) / n
    std = math.sqrt(sum((reward - mean) ** 2 for reward in rewards) / (n - 1))
    return [(reward - mean) / (std + EPSILON) for reward in rewards]


def records(episode: Episode) -> tuple[list[TrainingRecord], dict[TrainingKey, Trained]]:
    """Turns an episode into what the policy learns from it: each attempt with its advantage.

    Returns:
        The records, and the fate of each attempt.
    """
    made: list[TrainingRecord] = []
    fates: dict[TrainingKey, Trained] = {}
    for task, attempts in zip(episode.tasks, episode.attempts, strict=True):
        values = advantages([float(attempt.correct) for attempt in attempts])
        for attempt, value in zip(attempts, values, strict=True):
            fate = Trained(weight=value) if value else Trained(dropped="group without variance")
            fates[task.id, attempt.index, "solve"] = fate
            if value:
                rollout = attempt.rollout
                made.append(
                    TrainingRecord(
                        "solve", rollout.prompt.ids, rollout.completion_ids, value,
                        task.document_id, task.id, attempt.index, rollout.logprobs,
                    )
                )  # fmt: skip
    return made, fates
