"""``alive judge``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from alive.cli.options import sampler_option, seed_option, verbose_option

_EXAMPLES = """
\b
Examples:
  alive judge runs/mine answers.jsonl
  alive judge runs/mine answers.jsonl --calibrate known.jsonl --out judged.jsonl
"""


@click.command("judge", epilog=_EXAMPLES)
@click.argument("model", metavar="MODEL|RUN")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--calibrate",
    type=click.Path(path_type=Path),
    help="Answers of which it is known whether they are right; probabilities are fitted to them.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("judged.jsonl"),
    show_default=True,
    help="What is said of each answer, one a line.",
)
@click.option("--limit", type=click.IntRange(min=0), default=0, help="Answers, 0: all.")
@sampler_option
@seed_option
@verbose_option
def judge_command(
    model: str,
    file: Path,
    calibrate: Path | None,
    out: Path,
    limit: int,
    servers: tuple[str, ...],
    seed: int,
) -> None:
    """Judge answers to questions, without knowing what is right.

    FILE has a question and an answer a line (JSON lines, JSON, Parquet). Of each answer is written:
    the verdict, the probability that it is right, its first wrong step where one is named, and the
    critique. Where a row also says what is right (an attempt beside the answer, or correct), the
    judge is measured.
    """
    from rich.console import Console

    from alive.api import judge
    from alive.cli.tables import judged_lines
    from alive.errors import UserError
    from alive.evaluation.judging import scores_of
    from alive.store.atomic import storage, write_bytes

    if not out.parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}")
    judged = judge(model, file, calibrate=calibrate, limit=limit, seed=seed, servers=servers)
    with storage(out, "Nothing was written."):
        lines = (json.dumps(one.as_row(), ensure_ascii=False) for one in judged)
        write_bytes(out, "".join(f"{line}\n" for line in lines).encode())
    console = Console()
    for line in judged_lines(judged, scores_of(judged)):
        console.print(line, highlight=False)
    console.print(f"written: {out}", highlight=False, soft_wrap=True)
