"""The pages of a run, as text. Whether a server or a folder holds them they are not told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from alive.report.gather import Run, read_run
from alive.report.html import environment
from alive.report.text import passage_parts
from alive.view.episodes import FLAGS, PAGE, Episodes, Filters, Place
from alive.view.lineage import documents_of, learned, task_of

__all__ = ["CHANGES", "Link", "Pages", "Unknown", "last_page"]

Link = Callable[..., str]
"""Page name and its values -> where it is."""

CHANGES = {
    "learned": "wrong before, right after",
    "lost": "right before, wrong after",
    "right": "right before and after",
    "wrong": "wrong before and after",
}
"""What a held-out problem's answers can have done."""


class Unknown(LookupError):
    """The run has no such step, task or problem."""


class Pages:
    """Writes the pages of one run.

    Attributes:
        episodes: Its episodes.
    """

    def __init__(self, path: Path, link: Link, style: str = "") -> None:
        """Opens a run.

        Args:
            path: The run folder.
            link: Where pages are.
            style: The stylesheet that pages carry inside, where no server gives it to them, nor
                answers searches; empty where one does.

        Raises:
            RunError: It holds no run, or one of an earlier version.
        """
        self._path, self._link, self._style = path, link, style
        self._read: tuple[tuple[float, ...], Run] | None = None
        self.episodes = Episodes(path)
        self.run  # noqa: B018 - a folder without a run is told at once

    @property
    def run(self) -> Run:
        """The run, read again where its files have changed."""
        names = ("metrics.jsonl", "journal.jsonl", "before.json", "after.json", "summary.json")
        files = [self._path / name for name in names]
        times = tuple(file.stat().st_mtime if file.exists() else 0.0 for file in files)
        if self._read is None or self._read[0] != times:
            self._read = (times, read_run(self._path))
        return self._read[1]

    @property
    def steps(self) -> list[int]:
        """Steps whose record is whole, in order."""
        return [row["step"] for row in self.run.metrics]

    def home(self, page: int = 1) -> str:
        """Lists the steps, newest first."""
        rows = self.run.metrics[::-1]
        shown, last = _paged(rows, page)
        return self._render("home.html", rows=shown, page=page, last=last)

    def step(self, step: int) -> str:
        """Shows the documents of a step, their masks coloured by pass rate.

        Raises:
            Unknown: There is no such step.
        """
        rows = self.episodes.step(step)
        if not rows:
            raise Unknown(f"this run has no step {step + 1}")
        beside = {way: step + by if step + by in self.steps else None for way, by in _WAYS.items()}
        metrics = next((row for row in self.run.metrics if row["step"] == step), None)
        return self._render(
            "step.html", step=step, documents=documents_of(rows), metrics=metrics, **beside
        )

    def document(self, step: int, document: str) -> str:
        """Shows a document of a step, and everything that was learned of it there.

        Raises:
            Unknown: It was not played in that step.
        """
        rows = [row for row in self.episodes.step(step) if row["document_id"] == document]
        if not rows:
            raise Unknown(f"step {step + 1} has no such document")
        replayed = [row["step"] for row in self.run.metrics if document in row.get("rehearsed", {})]
        return self._render(
            "document.html",
            step=step,
            document=documents_of(rows)[0],
            records=learned(self.episodes.records(step, document)),
            replayed=replayed,
        )

    def task(self, step: int, task: str) -> str:
        """Shows a task with its attempts aligned, their reviews, and what trained.

        Raises:
            Unknown: It was not posed in that step.
        """
        rows = self.episodes.task(step, task)
        if not rows:
            raise Unknown(f"step {step + 1} has no such task")
        records = self.episodes.records(step, rows[0]["document_id"])
        columns = task_of(rows, records)
        return self._render(
            "task.html",
            step=step,
            first=rows[0],
            passage=passage_parts(rows[0]["passage"], rows[0]["span"]),
            columns=columns,
            height=max((len(column.lines) for column in columns), default=0),
            posed=learned([r for r in records if (r["task_id"], r["role"]) == (task, "pose")]),
        )

    def attempts(self, filters: Filters, after: Place | None = None) -> str:
        """Lists the attempts that pass the filters, newest step first."""
        page = self.episodes.attempts(filters, after)
        reasons = sorted({reason for row in self.run.metrics for reason in row["dropped"]})
        return self._render(
            "attempts.html", page=page, filters=filters, reasons=reasons, flags=FLAGS
        )

    def problem_indices(self, change: str = "", domain: str = "") -> list[int]:
        """Returns which held-out problems changed so, or all, of a domain or all."""
        return [
            at
            for at, (before, after) in enumerate(self._pairs())
            if (not domain or before["domain"] == domain)
            and (not change or _change(before, after) == change)
        ]

    def problems(self, change: str = "", domain: str = "", page: int = 1) -> str:
        """Lists the held-out problems, with their answers before and after."""
        every = self._pairs()
        pairs = [(at, *every[at]) for at in self.problem_indices(change, domain)]
        shown, last = _paged(pairs, page)
        return self._render(
            "problems.html",
            pairs=shown,
            total=len(pairs),
            page=page,
            last=last,
            change=change,
            domain=domain,
            domains=self.run.domains,
            changes=CHANGES,
        )

    def problem(self, index: int) -> str:
        """Shows one held-out problem before and after training, side by side.

        Raises:
            Unknown: There is no such problem.
        """
        pairs = self._pairs()
        if not 0 <= index < len(pairs):
            raise Unknown(f"this run measured {len(pairs)} problems; there is no {index + 1}")
        before, after = pairs[index]
        return self._render(
            "problem.html", index=index, last=len(pairs) - 1, before=before, after=after
        )

    def missing(self, what: str) -> str:
        """Says that something is not there."""
        return self._render("missing.html", what=what)

    def _pairs(self) -> list[tuple[Mapping[str, Any], Mapping[str, Any] | None]]:
        run = self.run
        before = run.before["rows"] if run.before else []
        after = run.after["rows"] if run.after else [None] * len(before)
        return list(zip(before, after, strict=True))

    def _render(self, template: str, **values: Any) -> str:
        return (
            environment("alive.view")
            .get_template(template)
            .render(
                run=self.run,
                link=self._link,
                style=Markup(self._style),
                searchable=not self._style,
                **values,
            )
        )


_WAYS = {"previous": -1, "next": 1}


def _change(before: Mapping[str, Any], after: Mapping[str, Any] | None) -> str:
    names = {(False, True): "learned", (True, False): "lost", (True, True): "right"}
    return names.get((before["correct"], after["correct"]), "wrong") if after else ""


def last_page(rows: int) -> int:
    """Returns how many pages so many rows fill; one where there are none."""
    return max(1, -(-rows // PAGE))


def _paged(rows: Any, page: int) -> tuple[Any, int]:
    return rows[(page - 1) * PAGE : page * PAGE], last_page(len(rows))
