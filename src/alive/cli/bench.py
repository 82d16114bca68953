"""``alive bench``."""

from __future__ import annotations

from pathlib import Path

import click

from alive.cli.options import verbose_option

_EXAMPLES = """
\b
Examples:
  alive bench
  alive bench path/to/model --lora-rank 16
  alive bench path/to/model --rows 64 --rows 512 --json bench.json
"""


@click.command("bench", epilog=_EXAMPLES)
@click.argument("model", default="seed")
@click.option(
    "--lora-rank", type=click.IntRange(min=0), default=0, help="Train adapters; 0: all weights."
)
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    multiple=True,
    help="Completions at a time; repeatable.  [default: 16 and 64, on a GPU 64, 256 and 512]",
)
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the figures here.")
@verbose_option
def bench_command(model: str, lora_rank: int, rows: tuple[int, ...], file: Path | None) -> None:
    """Say how fast a model samples and trains here, and how fast it could at most.

    The floor is what the machine's arithmetic and memory allow. MODEL is 'seed', 'smollm2', a
    folder or a hub id. A model that does not fit this machine's memory ends it; see `alive plan`.
    """
    from rich.console import Console

    from alive.cli.tables import speeds_table
    from alive.config import ModelConfig
    from alive.engines.floor import measure_speeds
    from alive.store.atomic import write_json

    with Console(stderr=True).status("") as status:
        speeds = measure_speeds(
            ModelConfig(id=model, lora_rank=lora_rank),
            rows=rows,
            begins=lambda stage: status.update(f"measuring: {stage}"),
        )
    Console().print(speeds_table(model, speeds))
    if file is not None:
        write_json(file, speeds.as_dict())
        click.echo(f"written: {file}")
