"""Rejection-sampling fine-tuning: right attempts are imitated, the others are not. Pure."""

from __future__ import annotations

from alive.types import Episode, Trained, TrainingKey, TrainingRecord


def records(episode: Episode) -> tuple[list[TrainingRecord], dict[TrainingKey, Trained]]:
    """Turns an episode into what the policy learns from it: each right attempt, under its prompt.

    Returns:
        The records, and the fate of each attempt.
    """
    made: list[TrainingRecord] = []
    fates: dict[TrainingKey, Trained] = {}
    for task, attempts in zip(episode.tasks, episode.attempts, strict=True):
        for attempt in attempts:
            fate = Trained(weight=1.0) if attempt.correct else Trained(dropped="wrong")
            fates[task.id, attempt.index, "solve"] = fate
            if attempt.correct:
                rollout = attempt.rollout
                made.append(
                    TrainingRecord(
                        "solve", rollout.prompt.ids, rollout.completion_ids, 1.0,
                        task.document_id, task.id, attempt.index,
                    )
                )  # fmt: skip
    return made, fates
