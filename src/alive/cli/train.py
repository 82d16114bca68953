"""``alive train``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alive.cli.options import collect_settings, newest_run, sampler_option, settings_options
from alive.cli.ray import ray_options, require_options, train_on_ray
from alive.errors import RunError, Terminated

if TYPE_CHECKING:
    from rich.console import Console

_EXAMPLES = """
\b
Examples:
  alive train
  alive train --preset laptop --model path/to/model --corpus builtin:python-docs
  alive train --corpus notes/ book.txt --out runs/mine --set game.masks_per_document=4
  alive train --resume --out runs/mine
  alive train --log tensorboard --log wandb
  alive train --ranks 2 --out runs/two
  alive train --ray --ranks 4 --samplers 4 --out /shared/run
  alive train --model smollm2 --corpus notes/ --sampler http://127.0.0.1:8000
"""


@click.command("train", epilog=_EXAMPLES)
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Run folder to write.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
@click.option(
    "--log",
    "trackers",
    multiple=True,
    type=click.Choice(["tensorboard", "wandb", "trackio"]),
    help="Also log there, live; repeatable.",
)
@click.option(
    "--ranks",
    type=click.IntRange(min=1),
    default=1,
    help="Processes that make the run together, one a GPU or some of the CPU's cores.",
)
@ray_options
@sampler_option
@settings_options
@click.pass_obj
def train_command(
    arguments: Sequence[str],
    /,
    out: Path | None,
    resume: bool,
    trackers: tuple[str, ...],
    servers: tuple[str, ...],
    ranks: int,
    ray: bool,
    samplers: int,
    **options: Any,
) -> None:
    """Train a policy on raw text by self-play, and keep checkpoints in a run folder.

    A resumed run takes its settings from its folder; those given again must agree.
    """
    from rich.console import Console

    require_options(ray, samplers)
    if not ray and ranks > 1 and "RANK" not in os.environ:
        from alive.engines.together.launch import launch

        raise click.exceptions.Exit(launch(ranks, arguments))

    from alive import arms
    from alive.plan import make_plan, require_fit
    from alive.sizing import settled
    from alive.store import default_out, resumable_config

    if resume and out is None:
        newest = newest_run()
        hint = f" (the newest here is {newest})" if newest else ""
        raise RunError(f"--resume needs the run's folder: --out FOLDER{hint}")
    base = (f"{out}/config.json", resumable_config(out)) if resume and out else None
    if trackers:
        options["overrides"] += (f"log.to={list(trackers)}",)
    config = collect_settings(**options, servers=servers, base=base)
    folder = out or Path(config.out or default_out(config.model.id, datetime.now()))
    config = config.model_copy(update={"out": str(folder)})
    arms.check(config)
    if ray:
        _show(train_on_ray(config, ranks, samplers), folder, Console())
        return
    config = settled(config, resume=resume)
    require_fit(make_plan(config))
    # Imported last: it loads torch, and a wrong setting should be told at once.
    from alive.loop import train

    console = Console(quiet=os.environ.get("RANK", "0") != "0")
    try:
        summary = train(config, resume, console)
    except (KeyboardInterrupt, Terminated):
        if not console.quiet:
            click.echo(f"\nstopped; go on with: alive train --resume --out {folder}", err=True)
        raise
    _show(summary, folder, console)


def _show(summary: Mapping[str, Any], folder: Path, console: Console) -> None:
    """Says what a run has come to, and where it lies."""
    from alive.cli.tables import before_after

    if "before" in summary and "after" in summary:
        console.print(before_after(summary))
        for line in summary.get("verdicts", ()):
            console.print(f"- {line}", markup=False, highlight=False)
    console.print(f"run folder: {folder}", highlight=False, soft_wrap=True)
    console.print(f"report: {folder / 'report.html'}", highlight=False, soft_wrap=True)
    console.print(f"every attempt: alive view {folder}", highlight=False, soft_wrap=True)
