"""The Parquet episodes of a run, asked by SQL: nothing but the rows asked for comes into memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from alive.errors import RunError
from alive.store import EPISODE_COLUMNS, LATER, RECORD_COLUMNS

__all__ = ["FLAGS", "PAGE", "Episodes", "Filters", "Found", "Place"]

Row = dict[str, Any]

PAGE = 50
"""Attempts a page."""

_MEMORY = "512MB"
_WINDOW = 1_000
"""Shards that are looked through at once."""

FLAGS = {
    "disagrees": "verdict disagrees with the text",
    "unparsed": "review without a verdict",
    "leaked": "review leaks the span",
    "hollow": "review says nothing of the attempt",
    "cut": "cut at the token limit",
    "unboxed": "no answer by itself",
    "dropped": "did not train",
    "trained": "trained",
    "right": "right",
    "wrong": "wrong",
}
"""What attempts can be filtered by, and how it is called."""

_CONDITIONS = {
    # A revision stands beside the review of the attempt it revises, not of itself.
    "disagrees": "role = 'solve' and verdict is not null and verdict <> correct",
    "unparsed": "role = 'solve' and critique is not null and verdict is null",
    "leaked": "role = 'solve' and leaks",
    "hollow": "role = 'solve' and hollow is not null and hollow <> ''",
    "cut": "stop = 'length'",
    "unboxed": "extracted is null or asked",
    "dropped": "dropped <> ''",
    "trained": "dropped = '' and weight <> 0",
    "right": "correct",
    "wrong": "not correct",
}
_TYPES = {"string": "varchar", "bool": "boolean", "float64": "double"}
_ABSENT = ", ".join(f"null::{_TYPES[EPISODE_COLUMNS[name]]} as {name}" for name in LATER)
_SHARDS = f"""(
    select * from read_parquet($shards, union_by_name = true, file_row_number = true)
    union all by name select {_ABSENT} where false
)"""
"""Rows of shards that different versions may have written: null where a column is missing."""

_SEARCHED = ("passage", "span", "completion", "critique", "source")
_LISTED = (
    *("step", "document_id", "source", "domain", "task_id", "passage", "span", "role"),
    *("attempt_index", "completion", "correct", "critique", "verdict", "leaks", "hollow"),
    *("dropped", "weight", "stop"),
)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list of attempts is narrowed down to; empty values leave it as it is.

    Attributes:
        text: Part of the passage, span, attempt, review or source; case counts.
        role: ``solve`` or ``revise``.
        flag: A key of ``FLAGS``.
        dropped: Why it did not train, in full.
        domain: The document's domain.
        document: The document's id.
    """

    text: str = ""
    role: Literal["", "solve", "revise"] = ""
    flag: str = ""
    dropped: str = ""
    domain: str = ""
    document: str = ""

    def conditions(self) -> tuple[str, dict[str, str]]:
        """Returns an SQL condition whose values are parameters, and the parameters."""
        parts: list[str] = []
        values: dict[str, str] = {}
        for column, value in (
            ("role", self.role),
            ("dropped", self.dropped),
            ("domain", self.domain),
            ("document_id", self.document),
        ):
            if value:
                parts.append(f"{column} = ${column}")
                values[column] = value
        if self.flag:
            parts.append(f"({_CONDITIONS[self.flag]})")
        if self.text:
            contained = " or ".join(f"contains({column}, $text)" for column in _SEARCHED)
            parts.append(f"({contained})")
            values["text"] = self.text
        return " and ".join(parts) or "true", values


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of attempts begins: after this row, newest step first."""

    step: int
    row: int


@dataclass(frozen=True, slots=True)
class Found:
    """A page of attempts.

    Attributes:
        rows: At most ``PAGE``; each has ``file_row_number`` beside its columns.
        steps: First and last step that were looked through for them; None where there are none.
        following: Where the next page begins; None where all was looked through.
    """

    rows: list[Row]
    steps: tuple[int, int] | None
    following: Place | None


class Episodes:
    """The episodes and training records of one run. Safe to ask from several threads.

    Attributes:
        patience: Seconds after which a page no longer looks further back.
    """

    def __init__(self, run: Path, patience: float = 0.4) -> None:
        """Opens the folder; DuckDB may read it and nothing else.

        Args:
            run: The run folder.
            patience: Seconds after which a page no longer looks further back.

        Raises:
            RunError: It lacks columns that a version must have written; those of ``LATER`` need
                not be there.
        """
        import duckdb

        self._run, self.patience = run.resolve(), patience
        self._database = duckdb.connect()
        self._database.execute(f"set threads = 2; set memory_limit = '{_MEMORY}'")
        folders = [str(self._run / name) for name in ("episodes", "records")]
        self._database.execute("set allowed_directories = $folders", {"folders": folders})
        self._database.execute("set enable_external_access = false")
        self._database.execute("set lock_configuration = true")
        self._check()

    def step(self, step: int) -> list[Row]:
        """Returns a step's attempts in the order in which they were stored; none if unknown."""
        shard = self._shard("episodes", step)
        if shard is None:
            return []
        return self._attempts("true", {"shard": shard})

    def task(self, step: int, task: str) -> list[Row]:
        """Returns the attempts and revisions at one task."""
        shard = self._shard("episodes", step)
        if shard is None:
            return []
        return self._attempts("task_id = $task", {"shard": shard, "task": task})

    def records(self, step: int, document: str) -> list[Row]:
        """Returns what a step learned of a document, rehearsed reviews included."""
        shard = self._shard("records", step)
        if shard is None:
            return []
        query = "select * from read_parquet($shard) where document_id = $document"
        rows = self._rows(query, {"shard": shard, "document": document})
        return [dict.fromkeys(RECORD_COLUMNS) | row for row in rows]

    def attempts(self, filters: Filters, after: Place | None = None) -> Found:
        """Returns the next attempts that pass the filters, newest step first.

        Shards are looked through in windows, and the rest is left to the next page once a page is
        full or ``patience`` is over: a page takes its time whatever the size of the run.

        Args:
            filters: What they are narrowed down to.
            after: The last row of the page before; None for the first page.
        """
        began = time.monotonic()
        shards = [s for s in self._newest_first() if after is None or s[0] <= after.step]
        rows: list[Row] = []
        looked = 0
        while looked < len(shards) and len(rows) <= PAGE:
            if looked and time.monotonic() - began > self.patience:
                break
            window = shards[looked : looked + _WINDOW]
            rows += self._window([path for _, path in window], filters, after)
            looked += len(window)
        steps = [step for step, _ in shards[:looked]]
        following = None
        if len(rows) > PAGE:
            following = Place(rows[PAGE - 1]["step"], rows[PAGE - 1]["file_row_number"])
            steps = [step for step in steps if step >= following.step]
        elif looked < len(shards):
            following = Place(shards[looked][0], -1)
        return Found(rows[:PAGE], (steps[-1], steps[0]) if steps else None, following)

    def _window(self, shards: Sequence[str], filters: Filters, after: Place | None) -> list[Row]:
        condition, values = filters.conditions()
        place: dict[str, int] = {}
        if after is not None:
            condition += " and (step < $step or (step = $step and file_row_number > $row))"
            place = {"step": after.step, "row": after.row}
        query = (
            f"select {', '.join(_LISTED)}, file_row_number "
            f"from {_SHARDS} where {condition} order by step desc, file_row_number limit {PAGE + 1}"
        )
        return self._rows(query, {"shards": list(shards), **values, **place})

    def _attempts(self, condition: str, values: Mapping[str, object]) -> list[Row]:
        rows = self._rows(f"select * from read_parquet($shard) where {condition}", values)
        return [dict.fromkeys(LATER) | row for row in rows]

    def _rows(self, query: str, values: Mapping[str, object]) -> list[Row]:
        result = self._database.cursor().execute(query, dict(values))
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def _shard(self, folder: str, step: int) -> str | None:
        path = self._run / folder / f"step-{step:06d}.parquet"
        return str(path) if path.exists() else None

    def _newest_first(self) -> list[tuple[int, str]]:
        """Lists the shards with their steps."""
        paths = (self._run / "episodes").glob("step-*.parquet")
        shards = [(int(path.stem.removeprefix("step-")), str(path)) for path in paths]
        return sorted(shards, reverse=True)

    def _check(self) -> None:
        first = next((self._run / "episodes").glob("step-*.parquet"), None)
        if first is None:
            return
        query = "select name from parquet_schema($shard)"
        names = {row["name"] for row in self._rows(query, {"shard": str(first)})}
        missing = [name for name in EPISODE_COLUMNS if name not in names and name not in LATER]
        if missing:
            raise RunError(
                f"{first} has no column {missing[0]}: an earlier version of ALIVE wrote it. "
                "Look at it with that version, or play the run again."
            )
