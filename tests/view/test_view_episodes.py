"""Episodes asked by SQL: filters, pages, and what the database may not do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alive.errors import RunError
from alive.store import EPISODE_COLUMNS, LATER, RECORD_COLUMNS
from alive.store.shards import write_shard
from alive.view.episodes import FLAGS, PAGE, Episodes, Filters, Place


def row(**changes: Any) -> dict[str, Any]:
    base = dict.fromkeys(EPISODE_COLUMNS)
    base |= {"task_id": "t", "document_id": "d", "role": "solve", "correct": False, "dropped": ""}
    base |= {"passage": "p", "span": "s", "completion": "c", "source": "a.txt:1", "weight": 0.0}
    base |= {"extracted": "s", "asked": False, "stop": "stop"}
    return base | changes


def write(run: Path, step: int, rows: list[dict[str, Any]]) -> None:
    (run / "episodes").mkdir(exist_ok=True)
    rows = [one | {"step": step} for one in rows]
    write_shard(run / "episodes", f"step-{step:06d}", rows, EPISODE_COLUMNS)


LEAKING = {"critique": "it is s", "leaks": True, "hollow": "quotes what is not there"}
ROWS = [
    row(attempt_index=0, critique="fine", verdict=True, hollow=""),
    row(attempt_index=1, critique="fine", verdict=True, hollow="", correct=True, weight=1.0),
    row(attempt_index=2, critique="?", dropped="review unparsed", stop="length", asked=True)
    | {"hollow": "recites its prompt"},
    row(attempt_index=3, verdict=False, completion="x'; drop") | LEAKING,
    row(attempt_index=3, verdict=False, role="revise", correct=True) | LEAKING,
    row(attempt_index=4, dropped="not reviewed", domain="100 %_", extracted=None),
]


@pytest.mark.parametrize(
    ("filters", "indices"),
    [
        (Filters(), [0, 1, 2, 3, 3, 4]),
        (Filters(flag="disagrees"), [0]),  # not the revision, whose review is of what it revises
        (Filters(flag="unparsed"), [2]),
        (Filters(flag="leaked"), [3]),
        (Filters(flag="hollow"), [2, 3]),  # neither what was found sound nor what has no review
        (Filters(flag="cut"), [2]),
        (Filters(flag="unboxed"), [2, 4]),  # what filled a box only when asked, too
        (Filters(flag="dropped"), [2, 4]),
        (Filters(flag="trained"), [1]),
        (Filters(flag="right"), [1, 3]),
        (Filters(flag="wrong", role="solve"), [0, 2, 3, 4]),
        (Filters(role="revise"), [3]),
        (Filters(dropped="not reviewed"), [4]),
        (Filters(text="'; drop"), [3]),  # a value, never part of the query
        (Filters(text="%"), []),  # and no pattern
        (Filters(domain="100 %_"), [4]),
        (Filters(document="other"), []),
        (Filters(text="it is", role="revise", flag="right"), [3]),
    ],
)
def test_filters(tmp_path: Path, filters: Filters, indices: list[int]) -> None:
    write(tmp_path, 0, ROWS)
    found = Episodes(tmp_path).attempts(filters)
    assert [one["attempt_index"] for one in found.rows] == indices
    assert found.following is None
    assert found.steps == (0, 0)


def test_every_flag_is_a_condition(tmp_path: Path) -> None:
    write(tmp_path, 0, ROWS)
    for flag in FLAGS:
        assert len(Episodes(tmp_path).attempts(Filters(flag=flag)).rows) < len(ROWS)


def test_pages_go_back_through_the_steps_and_leave_nothing_out(tmp_path: Path) -> None:
    for step in range(3):
        write(tmp_path, step, [row(attempt_index=index) for index in range(40)])
    episodes = Episodes(tmp_path)
    seen: list[tuple[int, int]] = []
    place: Place | None = None
    pages = 0
    while pages == 0 or place is not None:
        found = episodes.attempts(Filters(), place)
        assert len(found.rows) <= PAGE
        seen += [(one["step"], one["attempt_index"]) for one in found.rows]
        place, pages = found.following, pages + 1
    assert pages == 3
    assert seen == [(step, index) for step in (2, 1, 0) for index in range(40)]


def test_a_page_that_takes_long_leaves_the_rest_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alive.view.episodes._WINDOW", 2)
    for step in range(5):
        write(tmp_path, step, [row(attempt_index=step)])
    episodes = Episodes(tmp_path, patience=0.0)
    found = episodes.attempts(Filters())
    assert ([one["step"] for one in found.rows], found.steps) == ([4, 3], (3, 4))
    found = episodes.attempts(Filters(), found.following)
    assert ([one["step"] for one in found.rows], found.steps) == ([2, 1], (1, 2))
    found = episodes.attempts(Filters(), found.following)
    assert ([one["step"] for one in found.rows], found.following) == ([0], None)


def test_a_run_without_episodes_is_empty(tmp_path: Path) -> None:
    episodes = Episodes(tmp_path)
    assert episodes.attempts(Filters()).rows == []
    assert (episodes.step(0), episodes.task(0, "t"), episodes.records(0, "d")) == ([], [], [])


def test_steps_that_are_written_meanwhile_are_seen(tmp_path: Path) -> None:
    episodes = Episodes(tmp_path)
    write(tmp_path, 7, ROWS)
    (tmp_path / "episodes" / ".step-000008.parquet.tmp").write_bytes(b"half")
    assert len(episodes.step(7)) == len(ROWS)
    assert len(episodes.task(7, "t")) == len(ROWS)
    assert len(episodes.attempts(Filters()).rows) == len(ROWS)


def test_an_earlier_versions_run_is_refused_by_the_column_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "episodes").mkdir()
    pq.write_table(pa.table({"step": [0]}), tmp_path / "episodes" / "step-000000.parquet")
    with pytest.raises(RunError, match=r"step-000000\.parquet has no column document_id"):
        Episodes(tmp_path)


@pytest.mark.parametrize("newer", [False, True], ids=["older alone", "a newer step behind it"])
def test_columns_that_came_later_are_null_in_earlier_runs(tmp_path: Path, newer: bool) -> None:
    (tmp_path / "episodes").mkdir()
    older = {name: kind for name, kind in EPISODE_COLUMNS.items() if name not in LATER}
    rows = [{name: one.get(name) for name in older} | {"step": 0} for one in ROWS]
    write_shard(tmp_path / "episodes", "step-000000", rows, older)
    if newer:
        write(tmp_path, 1, ROWS)
    episodes = Episodes(tmp_path)
    found = episodes.attempts(Filters()).rows
    assert [one["hollow"] for one in found if one["step"] == 0] == [None] * len(ROWS)
    assert [one["file_row_number"] for one in found] == [*range(len(ROWS))] * (1 + newer)
    hollow = episodes.attempts(Filters(flag="hollow")).rows
    assert [(one["step"], one["attempt_index"]) for one in hollow] == newer * [(1, 2), (1, 3)]
    assert len(episodes.attempts(Filters(flag="unboxed")).rows) == 1 + 2 * newer
    for one in (*episodes.step(0), *episodes.task(0, "t")):
        assert {one[name] for name in LATER} == {None}


def test_records_of_an_earlier_version_were_not_distilled(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    late = ("loss", "informed_prompt")
    older = {name: kind for name, kind in RECORD_COLUMNS.items() if name not in late}
    rows = [dict.fromkeys(older) | {"document_id": "d", "prompt": "p"}]
    write_shard(tmp_path / "records", "step-000000", rows, older)
    [found] = Episodes(tmp_path).records(0, "d")
    assert (found["prompt"], found["loss"], found["informed_prompt"]) == ("p", None, None)


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_text('/etc/hostname')",
        "copy (select 1) to '/tmp/alive-must-not-be-written.csv'",
        "install httpfs",
        "set enable_external_access = true",
        "attach '/tmp/alive-must-not-be-written.db'",
    ],
)
def test_the_database_reaches_nothing_but_the_run(tmp_path: Path, query: str) -> None:
    with pytest.raises(duckdb.Error):
        Episodes(tmp_path)._rows(query, {})
