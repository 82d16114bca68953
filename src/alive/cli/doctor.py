"""``alive doctor``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from alive.cli.options import verbose_option
from alive.errors import AliveError

if TYPE_CHECKING:
    from alive.setup.doctor import Finding

_EXAMPLES = """
\b
Examples:
  alive doctor
  alive doctor --out /data/runs
"""


@click.command("doctor", epilog=_EXAMPLES)
@click.option("--out", default="runs", show_default=True, help="Where runs would be written.")
@verbose_option
def doctor_command(out: str) -> None:
    """Say what this machine lacks, and the command that fixes each.

    Exits with 0 if the quickstart (`alive train`) can run here, else with 1. Notes are no fault.
    """
    from alive.setup.doctor import examine

    findings = list(examine(out))
    _show(findings)
    missing = [finding.subject for finding in findings if finding.state == "missing"]
    if missing:
        raise AliveError(f"the quickstart cannot run here: {', '.join(missing)}")
    click.echo("The quickstart can run here: alive train")


def _show(findings: Sequence[Finding]) -> None:
    """Shows a table, and below it the remedies, on lines that can be copied whole."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:  # it may be what is missing
        for finding in findings:
            click.echo(f"{finding.state:7}  {finding.subject}: {finding.found}")
    else:
        colours = {"ok": "green", "missing": "bold red", "note": "yellow"}
        table = Table("", "state", "found")
        for finding in findings:
            state = Text(finding.state, style=colours[finding.state])
            table.add_row(finding.subject, state, Text(finding.found))
        Console().print(table)
    for finding in findings:
        if finding.remedy:
            click.echo(f"{finding.subject}: {finding.remedy}")
