"""``alive init``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from alive.cli.options import verbose_option
from alive.errors import UserError

if TYPE_CHECKING:
    from alive.setup.starter import Start

_EXAMPLES = """
\b
Examples:
  alive init
  alive init notes.toml --model smollm2 --corpus notes/
  alive init --model path/to/model --corpus notes/ book.txt
"""


@click.command("init", epilog=_EXAMPLES)
@click.argument("rest", nargs=-1, metavar="[FILE]")
@click.option(
    "--model",
    default="seed",
    show_default=True,
    help="'seed', 'smollm2', a model folder or a hub id.",
)
@click.option(
    "--corpus",
    multiple=True,
    metavar="PATH...",
    help="Text to learn from, as `alive train` takes it.  [default: builtin:primer]",
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@verbose_option
def init_command(rest: tuple[str, ...], model: str, corpus: tuple[str, ...], force: bool) -> None:
    """Look at a model, a corpus and this machine, and write settings that suit them.

    FILE is a TOML file, alive.toml by default. It says of every setting what it does, of those it
    sets why, and what the run will cost. Where the model's weights are on this machine they are
    loaded for a moment, to tell the time.
    """
    file, paths = _told_apart(rest, corpus)
    if file.exists() and not force:
        raise UserError(f"{file} is there already; name another file, or overwrite it with --force")
    if not file.parent.is_dir():
        raise UserError(f"{file}: there is no folder {file.parent}")
    from alive.report.verdicts import out_of_its_world
    from alive.setup.starter import find_start
    from alive.store.atomic import storage, write_bytes

    start = find_start(model, paths)
    command = f"alive train --config {shlex.quote(str(file))}"
    try:
        text = start.text(command).encode()
    except UnicodeEncodeError as error:
        raise UserError("a name of the corpus is not Unicode; rename it") from error
    with storage(file, "Nothing was written."):
        write_bytes(file, text)
    _show(start)
    if limits := out_of_its_world(model, paths):
        click.echo(f"note: {limits}", err=True)
    click.echo(f"written: {file}\nnext: {command}")


def _told_apart(rest: tuple[str, ...], corpus: tuple[str, ...]) -> tuple[Path, tuple[str, ...]]:
    """Tells the settings file from further corpus paths, as a shell's wildcard gives them."""
    files = [name for name in rest if name.endswith(".toml")]
    more = tuple(name for name in rest if not name.endswith(".toml"))
    if len(files) > 1:
        raise UserError(f"one settings file at a time, not {' and '.join(files)}")
    if more and not corpus:
        raise UserError(
            f"{more[0]} is no settings file, whose name ends in .toml; name text with --corpus PATH"
        )
    return Path(files[0] if files else "alive.toml"), (*corpus, *more) or ("builtin:primer",)


def _show(start: Start) -> None:
    from rich.console import Console
    from rich.table import Table

    from alive.cli.tables import plan_table

    console = Console()
    table = Table(title="found", show_header=False)
    for label, value in start.found():
        table.add_row(label, value)
    console.print(table)
    console.print(plan_table(start.plan.model, start.plan.lines()))
