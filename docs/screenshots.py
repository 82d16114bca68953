"""Takes the pictures of the pages: ``python docs/screenshots.py RUN FOLDER``. Needs Chromium."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from alive.view import export_pages
from alive.view.export import link

DESK, PHONE = (1440, 1000), (390, 844)
COLOURS = 192
"""Of a palette: pages have few, and the files stay small."""


def main(run: Path, folder: Path) -> None:
    """Writes the pictures of a finished run."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        pages = Path(scratch) / "pages"
        export_pages(run, pages, lambda done, steps: None)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, page, size, dark in (
            ("report", link("report"), DESK, False),
            ("report-phone", link("report"), PHONE, True),
            ("task", _task(run), DESK, False),
            ("task-phone", _task(run), PHONE, True),
        ):
            picture = _taken(browser, (pages / page).as_uri(), size, dark)
            picture.save(folder / f"{name}.png", optimize=True)
        browser.close()


def _taken(browser: Browser, url: str, size: tuple[int, int], dark: bool) -> Image.Image:
    tab = browser.new_page(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light"
    )
    tab.goto(url)
    taken = Image.open(io.BytesIO(tab.screenshot()))
    tab.close()
    return taken.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)


def _task(run: Path) -> str:
    """The task with most different attempts of which a revision came out right."""
    best: tuple[int, int, str] = (0, 0, "")
    for shard in sorted((run / "episodes").glob("*.parquet")):
        rows = pq.read_table(shard).to_pylist()
        for task in {row["task_id"] for row in rows if row["role"] == "revise" and row["correct"]}:
            wrote = {row["completion"] for row in rows if row["task_id"] == task}
            best = max(best, (len(wrote), -rows[0]["step"], task))
    return link("task", step=-best[1], id=best[2])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
