"""Rows of episodes put together for people: a document with its masks, a task with its attempts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alive.report.text import Line, lines_of
from alive.types import MASK

__all__ = [
    "Column",
    "DocumentView",
    "Learned",
    "Mark",
    "TaskView",
    "documents_of",
    "learned",
    "marked",
    "task_of",
]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Mark:
    """A piece of a document.

    Attributes:
        text: The piece.
        task: The task that hides it; empty for plain text.
        rate: That task's pass rate, 0..1.
    """

    text: str
    task: str = ""
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task in a list: its rows share passage, span and pass rate.

    Attributes:
        first: Any row of it.
        right: Right attempts, revisions not counted.
        attempts: All attempts.
        corrected: Revisions that came out right.
        trained: Attempts and revisions that trained.
        shift: Mean of what their words change in its attempts, nats a token; None where that is
            known of none.
    """

    first: Row
    right: int
    attempts: int
    corrected: int
    trained: int
    shift: float | None = None


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A document of a step.

    Attributes:
        first: Any row of it.
        marks: Its text, with what was hidden.
        tasks: Its tasks, in the order in which they were posed.
    """

    first: Row
    marks: list[Mark]
    tasks: list[TaskView]


@dataclass(frozen=True, slots=True)
class Learned:
    """Training records with one prompt and one completion.

    Attributes:
        row: The first of them.
        times: How many there are.
        weight: Their weights in sum.
    """

    row: Row
    times: int
    weight: float


@dataclass(frozen=True, slots=True)
class Column:
    """Attempts that wrote the same: one column of the aligned table.

    Attributes:
        row: The first of them.
        indices: Their places in the group, from 0.
        lines: What they wrote.
        dropped: Why they did not train, each reason once.
        revisions: What was written after their reviews.
        records: What was trained from them.
    """

    row: Row
    indices: list[int]
    lines: list[Line]
    dropped: list[str]
    revisions: list[Row] = field(default_factory=list)
    records: list[Row] = field(default_factory=list)

    @property
    def learned(self) -> list[Learned]:
        """What was trained from them, alike taken together."""
        return learned(self.records)


def documents_of(rows: Sequence[Row]) -> list[DocumentView]:
    """Groups the rows of a step by document and task."""
    by_document: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        tasks = by_document.setdefault(row["document_id"], {})
        tasks.setdefault(row["task_id"], []).append(row)
    documents = []
    for tasks in by_document.values():
        views = [_task(group) for group in tasks.values()]
        first = views[0].first
        documents.append(DocumentView(first, marked(first["document"], views), views))
    return documents


def marked(document: str, tasks: Sequence[TaskView]) -> list[Mark]:
    """Splits a document where its tasks hide something; where two overlap the first stands."""
    spans: list[tuple[int, int, TaskView]] = []
    for task in tasks:
        for start, end in _places(document, task.first["passage"], task.first["span"]):
            if all(end <= low or start >= high for low, high, _ in spans):
                spans.append((start, end, task))
    marks: list[Mark] = []
    at = 0
    for start, end, task in sorted(spans, key=lambda span: span[0]):
        marks.append(Mark(document[at:start]))
        marks.append(Mark(document[start:end], task.first["task_id"], task.first["pass_rate"]))
        at = end
    marks.append(Mark(document[at:]))
    return [mark for mark in marks if mark.text]


def task_of(rows: Sequence[Row], records: Sequence[Row]) -> list[Column]:
    """Puts attempts at one task side by side, those that wrote the same in one column.

    Args:
        rows: The task's attempts and revisions.
        records: What was trained from its document in that step.
    """
    columns: dict[str, Column] = {}
    by_index: dict[int, Column] = {}
    for row in rows:
        if row["role"] != "solve":
            continue
        text = row["completion"]
        if text not in columns:
            lines = lines_of(text, row["faulty_step"])
            columns[text] = Column(row, [], lines, [])
        column = columns[text]
        column.indices.append(row["attempt_index"])
        by_index[row["attempt_index"]] = column
        if row["dropped"] and row["dropped"] not in column.dropped:
            column.dropped.append(row["dropped"])
    for row in rows:
        if row["role"] == "revise" and row["attempt_index"] in by_index:
            by_index[row["attempt_index"]].revisions.append(row)
    task = rows[0]["task_id"] if rows else ""
    for record in records:
        if record["task_id"] == task and record["attempt_index"] in by_index:
            by_index[record["attempt_index"]].records.append(record)
    return list(columns.values())


def learned(records: Sequence[Row]) -> list[Learned]:
    """Takes records together that taught the same words under the same prompt."""
    alike: dict[tuple[Any, ...], list[Row]] = {}
    for record in records:
        names = "role", "rehearsed", "prompt", "completion", "informed_prompt"
        key = tuple(record.get(name) for name in names)  # older runs have no informed prompt
        alike.setdefault(key, []).append(record)
    return [
        Learned(group[0], len(group), sum(record["weight"] for record in group))
        for group in alike.values()
    ]


def _shift(row: Row) -> float | None:
    """By how much its words raise an attempt's mean log-probability; None where not known."""
    plain, words = row["plain_logprob"], row["words_logprob"]
    return None if plain is None or words is None else words - plain


def _task(rows: Sequence[Row]) -> TaskView:
    solves = [row for row in rows if row["role"] == "solve"]
    shifts = [by for row in solves if (by := _shift(row)) is not None]
    return TaskView(
        first=rows[0],
        right=sum(row["correct"] for row in solves),
        attempts=len(solves),
        corrected=sum(row["correct"] for row in rows if row["role"] == "revise"),
        trained=sum(bool(row["weight"]) for row in rows),
        shift=sum(shifts) / len(shifts) if shifts else None,
    )


def _places(document: str, passage: str, span: str) -> Iterator[tuple[int, int]]:
    """Yields where a task's span stands in its document, which may be more than its passage.

    The answer to a question is marked where it comes last.
    """
    if MASK not in passage:
        if (at := document.rfind(span)) >= 0:
            yield at, at + len(span)
        return
    at = document.find(passage.replace(MASK, span))
    if at < 0:
        return
    pieces = passage.split(MASK)
    for piece in pieces[:-1]:
        at += len(piece)
        yield at, at + len(span)
        at += len(span)
