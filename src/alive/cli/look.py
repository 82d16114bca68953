"""``alive view`` and ``alive report``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from alive.cli.options import newest_run, verbose_option
from alive.errors import RunError

_VIEW_EXAMPLES = """
\b
Examples:
  alive view
  alive view runs/mine --port 0
  alive view runs/mine --export pages/
"""
_REPORT_EXAMPLES = """
\b
Examples:
  alive report
  alive report runs/mine
"""
_run_argument = click.argument("run", type=click.Path(path_type=Path), required=False)


@click.command("view", epilog=_VIEW_EXAMPLES)
@_run_argument
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=None,
    help="Port on this machine, 0: any that is free.  [default: 8765, or any]",
)
@click.option(
    "--export",
    "folder",
    type=click.Path(path_type=Path),
    help="Write the pages into this new folder instead, to share them.",
)
@verbose_option
def view_command(run: Path | None, port: int | None, folder: Path | None) -> None:
    """Look at a run: documents, hidden spans, attempts, critiques, and what was learned.

    Serves pages on this machine alone, until Ctrl-C. The run may still be going on. Without RUN it
    is the newest below runs/.
    """
    from alive.view import export_pages, serve

    run = _or_newest(run)
    if folder is None:
        serve(run, port, lambda url: click.echo(f"{url}  (Ctrl-C to stop)"))
        return
    quiet = not sys.stderr.isatty()
    with click.progressbar(
        length=1, label="steps", show_pos=True, hidden=quiet, file=sys.stderr
    ) as bar:

        def progress(done: int, steps: int) -> None:
            bar.length = steps
            bar.update(done - bar.pos)

        written = export_pages(run, folder, progress)
    click.echo(f"{written} pages written: {folder / 'index.html'}")


@click.command("report", epilog=_REPORT_EXAMPLES)
@_run_argument
@verbose_option
def report_command(run: Path | None) -> None:
    """Write a run's report.html again, wherever the run stopped.

    A run writes it itself while it goes on and when it ends; after a crash this brings it up to
    date. Without RUN it is the newest below runs/.
    """
    from alive.report import REPORT, render_report
    from alive.store.atomic import storage, write_bytes

    run = _or_newest(run)
    page = render_report(run)
    with storage(run / REPORT, "Nothing else was written."):
        write_bytes(run / REPORT, page.encode("utf-8", "replace"))
    click.echo(f"written: {run / REPORT}")


def _or_newest(run: Path | None) -> Path:
    folder = run or newest_run()
    if folder is None:
        raise RunError("there is no run below runs/ here; name the folder of one")
    return folder
