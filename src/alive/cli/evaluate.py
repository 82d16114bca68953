"""``alive eval``."""

from __future__ import annotations

from pathlib import Path

import click

from alive.cli.options import max_tokens_option, sampler_option, seed_option, verbose_option

_EXAMPLES = """
\b
Examples:
  alive eval runs/mine
  alive eval seed --suite seed --self-correct
  alive eval runs/mine --suite seed:code --suite reasoning-gym:chain_sum --limit 100
  alive eval smollm2 --suite gsm8k/test.jsonl --limit 50 --json result.json
"""


@click.command("eval", epilog=_EXAMPLES)
@click.argument("model", metavar="MODEL|RUN")
@click.option(
    "--suite",
    "suites",
    multiple=True,
    metavar="NAME|FILE",
    help="seed, seed:DOMAIN, reasoning-gym:NAME, or a file of questions and answers (JSONL, JSON, "
    "Parquet), alone or with :DOMAIN or :level<=N; repeatable.  "
    "[default: the run's, or seed for the seed]",
)
@click.option("--limit", type=click.IntRange(min=0), default=0, help="Problems a suite, 0: all.")
@click.option(
    "--self-correct", is_flag=True, help="Also review each attempt blind, revise, and compare."
)
@click.option(
    "--best-of",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Also make N attempts at temperature 1, let the reviewer choose, and compare.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the measures and every completion here.",
)
@sampler_option
@max_tokens_option
@seed_option
@verbose_option
def eval_command(
    model: str,
    suites: tuple[str, ...],
    limit: int,
    self_correct: bool,
    best_of: int,
    json_file: Path | None,
    servers: tuple[str, ...],
    max_tokens: int | None,
    seed: int,
) -> None:
    """Measure a model, or a run's newest checkpoint, on suites of problems.

    Accuracy is greedy, under the plain prompt, with a 95 % interval. "cut" is the share of attempts
    cut at the token limit, "boxed" of those that boxed an answer.
    """
    from rich.console import Console

    from alive.api import evaluate
    from alive.cli.tables import measures
    from alive.errors import UserError
    from alive.store.atomic import storage, write_json

    if json_file is not None and not json_file.parent.is_dir():
        raise UserError(f"--json {json_file}: there is no folder {json_file.parent}")
    suites = suites or _usual(model)
    result = evaluate(
        model,
        suites,
        limit=limit,
        self_correct=self_correct,
        best_of=best_of,
        seed=seed,
        max_tokens=max_tokens or 0,
        servers=servers,
    )
    measured = result.as_dict()
    console = Console()
    console.print(*measures(measured))
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result.seconds.items())
    for note in (*result.notes, f"time: {spent}"):
        console.print(note, highlight=False, markup=False)
    if json_file is not None:
        record = {
            "model": model,
            "suites": list(suites),
            "limit": limit,
            "seed": seed,
            **({"servers": list(servers)} if servers else {}),
            **measured,
            "notes": list(result.notes),
            "seconds": {name: round(spent, 3) for name, spent in result.seconds.items()},
            "completions": [dict(row) for row in result.rows],
        }
        with storage(json_file, "Nothing else was written."):
            write_json(json_file, record)
        console.print(f"written: {json_file}", highlight=False, soft_wrap=True)


def _usual(model: str) -> tuple[str, ...]:
    """The suites a model is measured on where none is named."""
    from alive.doors import model_world
    from alive.errors import UserError
    from alive.store import is_run, read_config

    known = tuple(read_config(model)["evaluate"]["suites"]) if is_run(model) else ()
    if world := model_world(model):
        known = tuple(world.suites)[:1]
    if not known:
        raise UserError(
            "on which problems? Name a suite: --suite seed, --suite reasoning-gym:NAME, or "
            "--suite FILE.jsonl with a question and an answer a line"
        )
    return known
