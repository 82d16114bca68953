"""Arms that hear right or wrong and no word: RFT, STaR and GRPO. Pure.

GRPO as it is practised now: advantages normalised within the group, groups without variance
dropped, token-level normalisation and a higher upper clip (DAPO, arXiv 2503.14476), no KL term.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from alive.arms.attempts import record
from alive.prompts import Renderer
from alive.types import Episode, Trained, TrainingKey, TrainingRecord

Records = tuple[list[TrainingRecord], dict[TrainingKey, Trained]]
"""What the policy learns from an episode, and the outcome of each attempt."""

EPSILON = 1e-4
"""Added to a group's standard deviation, as TRL does."""


def rft(episode: Episode) -> Records:
    """Rejection-sampling fine-tuning: each right attempt is imitated under its own prompt."""
    return _records(episode, list, "wrong", imitated=True)


def star(episode: Episode, renderer: Renderer) -> Records:
    """STaR: what RFT learns, and right second tries that had the answer as a hint, without it.

    The same information as ALIVE's reviewers have, and no word of theirs.

    Source: Zelikman et al., arXiv 2203.14465.
    """
    records, outcomes = rft(episode)
    tasks = {task.id: task for task in episode.tasks}
    for made in episode.revisions:
        outcome = Trained(weight=1.0) if made.correct else Trained(dropped="still wrong")
        outcomes[made.task_id, made.index, "revise"] = outcome
        if made.correct:
            task = tasks[made.task_id]
            records.append(record(task, made, renderer.solve(task.passage, None), 1.0))
    return records, outcomes


def grpo(episode: Episode) -> Records:
    """Group-relative policy optimisation: each attempt trains with its advantage."""
    return _records(episode, advantages, "group without variance", imitated=False)


def advantages(rewards: Sequence[float]) -> list[float]:
    """``(r_i - mean) / (std + EPSILON)`` with the sample's standard deviation; N >= 2."""
    n = len(rewards)
    mean = sum(rewards) / n
    std = math.sqrt(sum((reward - mean) ** 2 for reward in rewards) / (n - 1))
    return [(reward - mean) / (std + EPSILON) for reward in rewards]


def _records(
    episode: Episode,
    weigh: Callable[[Sequence[float]], list[float]],
    unweighed: str,
    *,
    imitated: bool,
) -> Records:
    records: list[TrainingRecord] = []
    outcomes: dict[TrainingKey, Trained] = {}
    for task, attempts in zip(episode.tasks, episode.attempts, strict=True):
        weights = weigh([float(attempt.correct) for attempt in attempts])
        for attempt, weight in zip(attempts, weights, strict=True):
            outcome = Trained(weight=weight) if weight else Trained(dropped=unweighed)
            outcomes[task.id, attempt.index, "solve"] = outcome
            if weight:
                rollout = attempt.rollout
                records.append(
                    TrainingRecord(
                        "solve",
                        rollout.prompt.ids,
                        rollout.completion_ids,
                        weight,
                        task.document_id,
                        task.id,
                        attempt.index,
                        sampling_logprobs=rollout.logprobs,
                        policy_version=rollout.policy_version,
                        loss="likelihood" if imitated else "policy_gradient",
                    )
                )
    return records, outcomes
