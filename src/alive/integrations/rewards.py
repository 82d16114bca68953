"""What a document's game is worth to poser, solver and reviewer, as numbers. Pure.

The hidden text decides all three. None means that nothing is said of a completion: it is neither
good nor bad, and no baseline should count it.
"""

from __future__ import annotations

from alive.feedback import poser_utility
from alive.reviewing import hardest
from alive.roles.pose import BLAMELESS
from alive.types import Attempt, Episode, Review, Task

__all__ = ["poser_rewards", "reviewer_reward", "solver_reward", "to_review"]


def poser_rewards(episode: Episode) -> list[float | None]:
    """Returns the utility of each proposal: ``valid * [p >= 2/N] * (1 - p)``, 0..1.

    A proposal that was refused for what was posed beside it or before is worth None; one that was
    refused for itself 0, and never less.
    """
    rates = {
        id(task.pose): (sum(attempt.correct for attempt in group) / len(group), len(group))
        for task, group in zip(episode.tasks, episode.attempts, strict=True)
        if task.pose is not None
    }
    worth: list[float | None] = []
    for rollout, reason in zip(episode.pose_rollouts, episode.pose_reasons, strict=True):
        if reason is None:
            worth.append(poser_utility(True, *rates[id(rollout)]))
        else:
            worth.append(None if reason in BLAMELESS else 0.0)
    return worth


def solver_reward(attempt: Attempt) -> float:
    """Returns e: 1 where the answer is the hidden text, else 0."""
    return float(attempt.correct)


def reviewer_reward(review: Review, attempt: Attempt) -> float:
    """Returns 1 where the verdict is what the verifier says of the attempt, else 0.

    A review without a verdict, or with two, is worth 0.
    """
    return float(review.verdict is attempt.correct)


def to_review(episode: Episode, most: int) -> list[tuple[Task, Attempt]]:
    """Chooses attempts to be reviewed: as many wrong ones as right ones, at hard tasks first.

    Where either are missing nothing is reviewed: who is asked about one class alone learns to say
    always the same.

    Args:
        episode: Tasks and attempts.
        most: How many; an odd one is not filled.
    """
    flat = [
        (task, attempt)
        for task, group in zip(episode.tasks, episode.attempts, strict=True)
        for attempt in group
    ]
    sides: dict[bool, dict[tuple[str, str], tuple[Task, Attempt]]] = {False: {}, True: {}}
    for at in hardest(episode.attempts, 2 * (most // 2)) if most > 1 else ():
        task, attempt = flat[at]
        # Attempts that say the same are one.
        sides[attempt.correct].setdefault((task.id, attempt.rollout.text), (task, attempt))
    wrong, right = (list(sides[side].values()) for side in (False, True))
    return [pair for both in zip(wrong, right, strict=False) for pair in both]
