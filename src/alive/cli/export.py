"""``alive export``."""

from __future__ import annotations

from pathlib import Path

import click

from alive.cli.options import verbose_option

_EXAMPLES = """
\b
Examples:
  alive export runs/mine --to mine
  alive export runs/mine --to mine-adapters --adapters
"""


@click.command("export", epilog=_EXAMPLES)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder to write; new or empty.",
)
@click.option("--adapters", is_flag=True, help="The LoRA adapters alone, for PEFT.")
@verbose_option
def export_command(run: Path, to: Path, adapters: bool) -> None:
    """Write a run's newest sound checkpoint as a folder that other programs load.

    It holds the weights as safetensors (adapters merged), the tokenizer, and a README.md that says
    what the model learned from, what was measured, and how to load it. The card names corpus paths
    as the run was given them: read it before you publish it.
    """
    from alive.api import export

    folder = export(run, to, adapters=adapters)
    click.echo(f"written: {folder}")
