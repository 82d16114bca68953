"""What a run folder tells of a run: finished, stopped, crashed or still going on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from alive.store import is_running, read_config

__all__ = ["Run", "Status", "read_lines", "read_run"]

Status = Literal["running", "finished", "stopped"]
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its folder tells it.

    Attributes:
        path: The folder.
        status: ``stopped`` where no process writes to it and it has no summary.
        config: Every setting, nested.
        environment: Versions and machine.
        metrics: A row a step, in order.
        journal: What happened when, in order.
        before: The evaluation before training; None where there is none yet.
        after: The one after it.
        summary: None until the run is finished.
    """

    path: Path
    status: Status
    config: Values
    environment: Values
    metrics: tuple[Values, ...]
    journal: tuple[Values, ...] = field(repr=False)
    before: Values | None = field(repr=False)
    after: Values | None = field(repr=False)
    summary: Values | None = field(repr=False)

    @property
    def steps(self) -> int:
        """Training steps whose record is whole."""
        return len(self.metrics)

    @property
    def domains(self) -> list[str]:
        """Domains of the evaluation, in its order; those of one alone."""
        return list(self.before["result"].get("domains", {})) if self.before else []

    def evaluations(self) -> dict[str, Values]:
        """The evaluations there are, ``before`` first."""
        evaluations = {"before": self.before, "after": self.after}
        return {name: stored for name, stored in evaluations.items() if stored is not None}


def read_run(path: Path, running: bool | None = None) -> Run:
    """Reads a run folder without locking it.

    Args:
        path: The folder.
        running: Whether a process is writing to it; None looks.

    Raises:
        RunError: It holds no run.
    """
    config = read_config(path)
    summary = _json(path / "summary.json")
    if running is None:
        running = is_running(path)
    # The newest line of a step stands: a resumed run plays some steps again.
    metrics = {row["step"]: row for row in read_lines(path / "metrics.jsonl")}
    return Run(
        path=path,
        status="running" if running else "stopped" if summary is None else "finished",
        config=config,
        environment=_json(path / "environment.json") or {},
        metrics=tuple(metrics[step] for step in sorted(metrics)),
        journal=tuple(read_lines(path / "journal.jsonl")),
        before=_json(path / "before.json"),
        after=_json(path / "after.json"),
        summary=summary,
    )


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the whole lines of a JSON-lines file; the last may be torn, or still being written."""
    if not path.exists():
        return
    with path.open("rb") as handle:
        for line in handle:
            if not line.endswith(b"\n"):
                return
            yield json.loads(line)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    return loaded
