"""A run's pages as a folder that can be shared: the same pages, without a server to search with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from alive.errors import RunError
from alive.report import render_report
from alive.report.html import stylesheet
from alive.seeding import digest
from alive.store.atomic import storage
from alive.view.episodes import FLAGS, Filters
from alive.view.pages import CHANGES, Pages, last_page

__all__ = ["export_pages"]

_PARTS = ("step", "id", "index", "flag", "change", "page")
"""What the name of a page's file can say."""


def export_pages(run: Path, to: Path, progress: Callable[[int, int], None]) -> int:
    """Writes the pages of a run into a folder, to be opened from disk or put on any server.

    Args:
        run: The run folder.
        to: A new or empty folder.
        progress: Told how many of how many steps are written.

    Returns:
        How many pages were written.

    Raises:
        RunError: The folder is not empty, or there is no run.
        StorageError: The disk refuses.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise RunError(f"{to} is not an empty folder; choose another --export")
    pages = Pages(run, link, stylesheet())
    written = 0
    with storage(to, "What was written of the pages can be deleted; the run is untouched."):
        to.mkdir(parents=True, exist_ok=True)
        for name, text in _pages(pages, run, progress):
            (to / name).write_text(text, "utf-8", "replace")
            written += 1
    return written


def link(page: str, /, **values: object) -> str:
    """Returns the file name of a page; further pages and filters of a list have their own."""
    # In one order, whichever the caller names them in.
    parts = [str(values[name]) for name in _PARTS if values.get(name, "") not in ("", None)]
    name = "-".join(["index" if page == "home" else page, *parts])
    # Ids are digests of ours; whatever a damaged record holds becomes one, too.
    safe = name if re.fullmatch(r"[\w-]+", name, re.ASCII) else f"{page}-{digest(name)}"
    return f"{safe}.html"


def _pages(
    pages: Pages, run: Path, progress: Callable[[int, int], None]
) -> Iterator[tuple[str, str]]:
    yield link("report"), render_report(run)
    for page in range(1, last_page(len(pages.steps)) + 1):
        yield link("home", page=page if page > 1 else ""), pages.home(page)
    for flag in ("", *FLAGS):
        yield link("attempts", flag=flag), pages.attempts(Filters(flag=flag))
    for change in ("", *CHANGES):
        for page in range(1, last_page(len(pages.problem_indices(change))) + 1):
            name = link("problems", change=change, page=page if page > 1 else "")
            yield name, pages.problems(change, "", page)
    for index in pages.problem_indices():
        yield link("problem", index=index), pages.problem(index)
    steps = pages.steps
    for done, step in enumerate(steps, 1):
        yield link("step", step=step), pages.step(step)
        keys = {(row["document_id"], row["task_id"]) for row in pages.episodes.step(step)}
        for document in sorted({document for document, _ in keys}):
            yield link("document", step=step, id=document), pages.document(step, document)
        for _, task in sorted(keys):
            yield link("task", step=step, id=task), pages.task(step, task)
        progress(done, len(steps))
