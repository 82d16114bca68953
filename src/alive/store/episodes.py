"""Episodes as rows, one an attempt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alive.types import Attempt, Episode, Review, Role, Task, Trained, TrainingKey

EPISODE_COLUMNS: dict[str, str] = {
    "step": "int32",
    "document_id": "string",
    "source": "string",
    "domain": "string",
    "document": "string",
    "task_id": "string",
    "passage": "string",
    "span": "string",
    "origin": "string",
    "pose_text": "string",
    "role": "string",
    "attempt_index": "int32",
    "policy_version": "int32",
    "prompt": "string",
    "completion": "string",
    "stop": "string",
    "prompt_tokens": "int32",
    "completion_tokens": "int32",
    "extracted": "string",
    "asked": "bool",
    "correct": "bool",
    "critique": "string",
    "critic": "string",
    "verdict": "bool",
    "score": "float64",
    "faulty_step": "int32",
    "privileged": "bool",
    "leaks": "bool",
    "hollow": "string",
    "feedback": "string",
    "pass_rate": "float64",
    "pose_words": "string",
    "weight": "float64",
    "dropped": "string",
    "plain_logprob": "float64",
    "words_logprob": "float64",
}
"""Column -> Arrow type, in file order; docs/data-format.md says what each means."""

LATER = ("asked", "critic", "hollow", "plain_logprob", "words_logprob")
"""Columns that not every version wrote; a run without one is read as if it were null."""

REVIEWED = (
    *("critique", "critic", "verdict", "score", "faulty_step", "privileged", "leaks", "hollow"),
)
"""Columns of an attempt's review; empty where it was not reviewed."""

Decode = Callable[[Sequence[int]], str]
"""Token ids -> text, special tokens shown."""


def episode_rows(
    episodes: Sequence[Episode], training: Mapping[TrainingKey, Trained], decode: Decode
) -> list[dict[str, Any]]:
    """Flattens episodes to one row an attempt, solves before revisions, in the order they ran."""
    rows: list[dict[str, Any]] = []
    for episode in episodes:
        tasks = {task.id: task for task in episode.tasks}
        reviews = {(r.task_id, r.attempt_index): r for group in episode.reviews for r in group}
        solves = [attempt for group in episode.attempts for attempt in group]
        rates = {
            group[0].task_id: sum(attempt.correct for attempt in group) / len(group)
            for group in episode.attempts
            if group
        }
        for attempt in (*solves, *episode.revisions):
            task = tasks[attempt.task_id]
            role: Role = "revise" if attempt.rollout.prompt.role == "revise" else "solve"
            key = (attempt.task_id, attempt.index, role)
            rows.append(
                {
                    "step": episode.step,
                    "document_id": episode.document.id,
                    "source": episode.document.source,
                    "document": episode.document.text,
                    **_task_cells(task, rates[task.id]),
                    **_attempt_cells(attempt, role, decode),
                    **_review_cells(reviews.get((attempt.task_id, attempt.index))),
                    **_training_cells(training.get(key, Trained())),
                }
            )
    return rows


def _task_cells(task: Task, pass_rate: float) -> dict[str, Any]:
    return {
        "domain": task.domain,
        "task_id": task.id,
        "passage": task.passage,
        "span": task.span,
        "origin": task.origin,
        "pose_text": None if task.pose is None else task.pose.text,
        "pass_rate": pass_rate,
    }


def _attempt_cells(attempt: Attempt, role: Role, decode: Decode) -> dict[str, Any]:
    rollout = attempt.rollout
    return {
        "role": role,
        "attempt_index": attempt.index,
        "policy_version": rollout.policy_version,
        "prompt": decode(rollout.prompt.ids),
        "completion": rollout.text,
        "stop": rollout.stop,
        "prompt_tokens": len(rollout.prompt.ids),
        "completion_tokens": len(rollout.completion_ids),
        "extracted": attempt.answer,
        "asked": attempt.asked,
        "correct": attempt.correct,
    }


def _review_cells(review: Review | None) -> dict[str, Any]:
    if review is None or not review.given:
        return dict.fromkeys(REVIEWED)
    return {
        "critique": review.text,
        "critic": "teacher" if review.rollout is None else "policy",
        "verdict": review.verdict,
        "score": review.score,
        "faulty_step": review.faulty_step,
        "privileged": review.privileged,
        "leaks": review.leaks,
        "hollow": review.hollow,
    }


def _training_cells(trained: Trained) -> dict[str, Any]:
    return {
        "feedback": trained.feedback,
        "pose_words": trained.pose_words,
        "weight": trained.weight,
        "dropped": trained.dropped,
        "plain_logprob": trained.plain_logprob,
        "words_logprob": trained.words_logprob,
    }
