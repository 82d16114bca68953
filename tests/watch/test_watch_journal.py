"""The clock's record, by a clock that is told what to show, and how often a report is written."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from alive.config import Config
from alive.store import RunFolder, is_running
from alive.trackers import Trackers
from alive.watch import Display, Watch
from alive.watch.journal import Journal


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder.create(tmp_path / "run", Config()) as run:
        yield run


def entries(folder: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder.path / "journal.jsonl").read_text().splitlines()]


def clock(monkeypatch: pytest.MonkeyPatch, name: str, *times: float) -> None:
    shown = iter(times)
    monkeypatch.setattr(f"alive.watch.{name}", lambda: next(shown))


def test_stages_add_up_within_a_step(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch, "journal.time.perf_counter", 0, 1, 3, 4, 7, 10, 12, 12.5)
    journal = Journal(folder, lambda: 5_000)
    for stage in ("pose", "solve", "pose", ""):  # at 1, 3, 4 and 7; until 10 nothing is timed
        journal.stage(stage)
    journal.stage("learn")
    assert journal.step(0) == 2 + 1 + 3 + 2
    assert journal.step(1, "measured after", "told") == 0
    first, second = entries(folder)
    assert first["seconds"] == {"pose": 5, "solve": 1, "learn": 2}
    assert first["memory"]["device"] == 5_000
    assert first["memory"]["resident"] > 1_000_000
    assert (first["event"], first["step"]) == ("step", 0)
    assert (second["event"], second["text"], second["seconds"]) == ("measured after", "told", {})


def test_comparisons_given_up_are_written_down(folder: RunFolder, monkeypatch) -> None:
    journal = Journal(folder, lambda: 0)
    for count in (0, 3):
        monkeypatch.setattr("alive.watch.journal.given_up", lambda count=count: count)
        journal.step(count)
    assert [entry.get("given_up") for entry in entries(folder)] == [None, 3]


def test_a_line_torn_by_a_kill_is_dropped_when_the_run_goes_on(folder: RunFolder) -> None:
    journal = Journal(folder, lambda: 0)
    journal.note("started", 0, threads=2)
    with (folder.path / "journal.jsonl").open("a") as torn:
        torn.write('{"time": "2026')
    assert is_running(folder.path)
    folder.close()
    assert not is_running(folder.path)
    with RunFolder.create(folder.path, Config(), resume=True) as again:
        Journal(again, lambda: 0).note("resumed", 0)
        found = entries(again)
    assert [entry["event"] for entry in found] == ["started", "resumed"]
    assert "memory" not in found[0]


def test_reports_take_their_share_of_the_time_and_no_more(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bool] = []
    monkeypatch.setattr(
        "alive.watch.watching.render_report",
        lambda path, running: written.append(running) or "<!doctype html>",
    )
    watch = Watch(folder, Display(Console(file=io.StringIO())), Trackers(()), lambda: 0)
    # Each report reads the clock as it begins and as it ends: the first takes one second, so that
    # the next is due after 1 / 0.03 more; one that takes no time, after 15.
    clock(
        monkeypatch, "watching.time.monotonic", 100, 101, 120, 134, 134.4, 134.4, 149.3, 149.5, 150
    )
    for _ in range(2):
        watch.report()  # at 100, and not at 120
    assert written == [True]
    watch.report()  # at 134: 101 + 33.3 is not over yet
    assert written == [True]
    watch.report()  # at 134.4
    assert written == [True, True]
    watch.report()  # at 149.3: not yet
    watch.report(ended=True)
    assert written == [True, True, False]
    assert (folder.path / "report.html").read_text() == "<!doctype html>"
