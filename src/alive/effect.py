"""What words change: how likely an attempt is under the plain prompt, and under its words.

Nothing is computed for it. A step passes through each record anyway, and an attempt that trains
under words trains plainly as well, or follows from the plain prompt what is written under them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from alive.prompts import Renderer
from alive.protocols import Likelihood
from alive.types import Attempt, Episode, Trained, TrainingKey, TrainingRecord

__all__ = ["shifts", "with_likelihoods"]

_Written = tuple[str, int, tuple[int, ...]]
"""Task, place in the group, completion: an attempt, or what revised it."""


def with_likelihoods(
    episodes: Sequence[Episode],
    trained: Mapping[TrainingKey, Trained],
    records: Sequence[TrainingRecord],
    likelihoods: Sequence[Likelihood | None],
    renderer: Renderer,
) -> dict[TrainingKey, Trained]:
    """Adds to what became of attempts how likely they are with their words and without.

    Args:
        episodes: What was played.
        trained: What learning made of each attempt.
        records: What was learned of the episodes.
        likelihoods: One a record, as ``UpdateStats`` holds them, and perhaps further ones; none
            where the learner does not tell.
        renderer: Renders the plain prompts.
    """
    found: dict[_Written, list[tuple[TrainingRecord, Likelihood]]] = {}
    for record, likely in zip(records, likelihoods, strict=False):
        if likely is not None and record.role in ("solve", "revise"):
            written = record.task_id, record.attempt_index, record.completion_ids
            found.setdefault(written, []).append((record, likely))
    told = dict(trained)
    for key, attempt, plain in _attempts(episodes, renderer):
        mine = found.get((attempt.task_id, attempt.index, attempt.rollout.completion_ids), [])
        if key in told:
            bare, under = _both(attempt, mine, plain)
            told[key] = replace(told[key], plain_logprob=bare, words_logprob=under)
    return told


def shifts(episodes: Sequence[Episode], trained: Mapping[TrainingKey, Trained]) -> dict[str, float]:
    """By how much words raise the log-probability of attempts, on average, nats a token.

    Returns:
        By ``right`` and ``wrong`` attempts, and ``revised`` ones; without those of which none is
        known with words and without.
    """
    sides: dict[str, list[float]] = {"right": [], "wrong": [], "revised": []}
    for key, attempt in _keyed(episodes):
        outcome = trained.get(key, Trained())
        if outcome.plain_logprob is not None and outcome.words_logprob is not None:
            side = "revised" if key[2] == "revise" else "right" if attempt.correct else "wrong"
            sides[side].append(outcome.words_logprob - outcome.plain_logprob)
    return {side: math.fsum(found) / len(found) for side, found in sides.items() if found}


def _both(
    attempt: Attempt,
    records: Sequence[tuple[TrainingRecord, Likelihood]],
    plain: tuple[int, ...],
) -> tuple[float | None, float | None]:
    """An attempt's mean log-probability under the plain prompt, and under its words.

    What it trained under comes before what it followed. An attempt that trained under words alone
    may have been sampled plainly: the sampler has told then.
    """
    bare = [likely.plain for record, likely in records if record.prompt_ids == plain]
    under = [likely.plain for record, likely in records if record.prompt_ids != plain]
    under += [
        likely.informed
        for record, likely in records
        if likely.informed is not None and record.informed_prompt_ids != plain
    ]
    logprobs = attempt.rollout.logprobs
    if records and logprobs and attempt.rollout.prompt.ids == plain:
        bare.append(math.fsum(logprobs) / len(logprobs))
    return _first_finite(bare), _first_finite(under)


def _first_finite(values: Sequence[float]) -> float | None:
    value = next(iter(values), math.nan)
    return value if math.isfinite(value) else None


def _attempts(
    episodes: Sequence[Episode], renderer: Renderer
) -> Iterator[tuple[TrainingKey, Attempt, tuple[int, ...]]]:
    """Yields each attempt with the plain prompt of its task."""
    for episode in episodes:
        plain = {task.id: renderer.solve(task.passage, None).ids for task in episode.tasks}
        for key, attempt in _keyed([episode]):
            yield key, attempt, plain[attempt.task_id]


def _keyed(episodes: Sequence[Episode]) -> Iterator[tuple[TrainingKey, Attempt]]:
    for episode in episodes:
        for attempt in (one for group in episode.attempts for one in group):
            yield (attempt.task_id, attempt.index, "solve"), attempt
        for revision in episode.revisions:
            yield (revision.task_id, revision.index, "revise"), revision
