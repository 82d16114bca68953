"""What a step is summed up in: one flat line of ``metrics.jsonl``."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from alive.effect import shifts
from alive.feedback import poser_utility, states
from alive.game import Played
from alive.protocols import UpdateStats
from alive.types import Attempt, Episode, Review, Trained, TrainingKey, TrainingRecord


def step_metrics(
    played: Sequence[Played],
    trained: Mapping[TrainingKey, Trained],
    replayed: Sequence[TrainingRecord],
    stats: UpdateStats,
) -> dict[str, Any]:
    """Sums a step up. Shares lie in 0..1; losses are nats a token.

    Args:
        played: The step's documents.
        trained: The outcome of every attempt.
        replayed: Earlier reviews that were learned again.
        stats: What the optimiser step did.

    Returns:
        JSON values, null for what is not finite. Nothing in it depends on the clock: the same run
        gives the same lines.
    """
    episodes = [game.episode for game in played]
    attempts = [a for e in episodes for a in _all(e)]
    judged = [
        (attempt, review)
        for e in episodes
        for pair in zip(e.attempts, e.reviews, strict=bool(e.reviews))
        for attempt, review in zip(*pair, strict=True)
        if review.given
    ]
    reviews = [review for _, review in judged]
    revisions = [a for e in episodes for a in e.revisions]
    pose_words = {key[0]: t.pose_words for key, t in trained.items() if t.pose_words}
    drops = Counter(t.dropped for t in trained.values() if t.dropped)
    corrected = {a.task_id for a in revisions if a.correct}
    utilities = [
        poser_utility(
            True,
            sum(a.correct for a in group) / len(group),
            len(group),
            corrected=group[0].task_id in corrected,
        )
        for e in episodes
        for group in e.attempts
    ]
    return {
        "loss": _finite(stats.loss),
        **{f"loss_{role}": _finite(loss) for role, loss in stats.role_loss.items()},
        "grad_norm": _finite(stats.grad_norm),
        "skipped": stats.skipped,
        "tokens_trained": stats.tokens,
        "records_empty": stats.empty,
        "lag": max(
            (e.step - a.rollout.policy_version for e in episodes for a in _all(e)), default=0
        ),
        **_sampler_gap(stats),
        "tokens_sampled": sum(len(a.rollout.completion_ids) for a in (*attempts, *revisions))
        + sum(len(r.rollout.completion_ids) for r in reviews if r.rollout),
        "tasks": sum(len(e.tasks) for e in episodes),
        "proposed": sum(game.proposed for game in played),
        "filled": sum(game.filled for game in played),
        "replayed": sum(task.origin == "replay" for e in episodes for task in e.tasks),
        "refused": dict(sum((Counter(game.refused) for game in played), Counter())),
        "pass_rate": _mean([a.correct for a in attempts]),
        "solved": _solved(episodes),
        "answered": _mean([a.answer is not None and not a.asked for a in attempts]),
        "cut": _mean([a.rollout.stop == "length" for a in attempts]),
        "poser_utility": sum(utilities) / len(utilities) if utilities else 0.0,
        "difficulty": dict(sorted(Counter(pose_words.values()).items())),
        "reviews_unparsed": _mean([r.verdict is None for r in reviews]),
        "reviews_cut": _mean([r.rollout.stop == "length" for r in reviews if r.rollout]),
        "reviews_honest": _mean([review.verdict is a.correct for a, review in judged]),
        "teacher_silent": sum(game.silent for game in played),
        "reviews_leaking": _mean([r.leaks for r in reviews]),
        "reviews_hollow": _mean([bool(r.hollow) for r in reviews]),
        "reviews_distinct": _distinct(judged),
        **{f"words_shift_{side}": by for side, by in shifts(episodes, trained).items()},
        "words_leaking": sum(_leaking(e, trained) for e in episodes),
        "rehearsed": dict(sorted(Counter(record.document_id for record in replayed).items())),
        "revisions": len(revisions),
        "revisions_right": sum(a.correct for a in revisions),
        "dropped": dict(sorted(drops.items())),
    }


def _all(episode: Episode) -> Iterator[Attempt]:
    return (attempt for group in episode.attempts for attempt in group)


def _sampler_gap(stats: UpdateStats) -> dict[str, float | None]:
    if stats.sampler is None:
        return {}
    named = {f"sampler_gap_{name}": value for name, value in asdict(stats.sampler).items()}
    return {name: _finite(value) for name, value in named.items()}


def _distinct(judged: Sequence[tuple[Attempt, Review]]) -> float:
    """Different reviews over what was reviewed; identical attempts at a task share one review."""
    texts = {review.text for _, review in judged}
    reviewed = {(attempt.task_id, attempt.rollout.text) for attempt, _ in judged}
    return len(texts) / len(reviewed) if reviewed else 0.0


def _leaking(episode: Episode, trained: Mapping[TrainingKey, Trained]) -> int:
    """Counts the words that stood before an attempt, or guided a revision, and state the span.

    None does (``alive.feedback.states``); it is counted on what happened.
    """
    said: list[tuple[str, str | None]] = []
    guided = {(revision.task_id, revision.index) for revision in episode.revisions}
    for task, attempts, reviews in zip(
        episode.tasks,
        episode.attempts,
        episode.reviews or [()] * len(episode.tasks),
        strict=True,
    ):
        for attempt in attempts:
            words = trained.get((task.id, attempt.index, "solve"), Trained()).feedback
            said += {(task.span, words), (task.span, attempt.rollout.prompt.condition)}
        said += [
            (task.span, review.text)
            for review in reviews
            if (task.id, review.attempt_index) in guided
        ]
    return sum(words is not None and states(words, span) for span, words in said)


def _solved(episodes: Sequence[Episode]) -> dict[str, int]:
    """Counts the tasks by how many of their attempts are right."""
    counts = Counter(sum(a.correct for a in group) for e in episodes for group in e.attempts)
    return {str(right): counts[right] for right in sorted(counts)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _mean(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0
