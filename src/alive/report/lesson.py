"""One lesson of a run, from the document to the words that trained: for the head of its report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alive.report.gather import Run
from alive.report.text import Line, Part, lines_of, passage_parts

__all__ = ["Lesson", "find_lesson"]

_SHARDS = 12
"""Steps that are looked through, evenly over the run."""

_COLUMNS = [
    *("step", "task_id", "document_id", "source", "passage", "span", "role", "attempt_index"),
    *("completion", "correct", "critique", "critic", "faulty_step", "pass_rate", "weight"),
]


@dataclass(frozen=True, slots=True)
class Lesson:
    """An attempt that failed, its review, and the revision that came out right after it.

    Attributes:
        step: 0-based.
        source: Where the document came from.
        passage: What was shown, the hidden span marked.
        pass_rate: Share of the task's attempts that were right.
        attempt: The attempt's lines.
        critique: The review of it.
        taught: Whether a teacher wrote that, in warm-up.
        revision: The lines written after the review.
    """

    step: int
    source: str
    passage: list[Part]
    pass_rate: float
    attempt: list[Line]
    critique: str
    taught: bool
    revision: list[Line]


def find_lesson(run: Run) -> Lesson | None:
    """Returns the lesson at the hardest task that one revision solved; None where none did."""
    pair: tuple[dict[str, Any], dict[str, Any]] | None = None
    for shard in _spread(sorted((run.path / "episodes").glob("step-*.parquet"))):
        for candidate in _corrected(shard):
            if pair is None or candidate[0]["pass_rate"] < pair[0]["pass_rate"]:
                pair = candidate
    if pair is None:
        return None
    attempt, revision = pair
    return Lesson(
        step=attempt["step"],
        source=attempt["source"],
        passage=passage_parts(attempt["passage"], attempt["span"]),
        pass_rate=attempt["pass_rate"],
        attempt=lines_of(attempt["completion"], attempt["faulty_step"]),
        critique=attempt["critique"],
        taught=attempt["critic"] == "teacher",
        revision=lines_of(revision["completion"]),
    )


def _spread(shards: list[Path]) -> list[Path]:
    if len(shards) <= _SHARDS:
        return shards
    return [shards[at * (len(shards) - 1) // (_SHARDS - 1)] for at in range(_SHARDS)]


def _corrected(shard: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs of a failed attempt and its right revision."""
    import pyarrow.parquet as pq

    if not set(_COLUMNS) <= set(pq.read_schema(shard).names):
        return []  # an earlier version wrote it
    rows = pq.read_table(shard, columns=_COLUMNS).to_pylist()
    key = ("task_id", "attempt_index")
    right = {
        tuple(row[k] for k in key): row
        for row in rows
        if row["role"] == "revise" and row["correct"]
    }
    pairs = [(row, right.get(tuple(row[k] for k in key))) for row in rows if row["role"] == "solve"]
    return [(row, revision) for row, revision in pairs if revision is not None]
