"""``alive compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from alive.cli.options import collect_settings, settings_options
from alive.errors import ConfigError

_EXAMPLES = """
\b
Examples:
  alive compare --out runs/compare
  alive compare --arms base,grpo,alive --rate alive=2.4e-3 --rate grpo=1.4e-3 --out runs/quick
  alive compare --arms alive --ablate words,corrected --out runs/compare
  alive compare --arms rft,grpo,alive --train-on maths,code,logic --out runs/all
  alive compare --merge runs/first runs/second --out runs/both
"""
ALL = "base,rft,grpo,fcp,random-mask,oracle,alive"


@click.command("compare", epilog=_EXAMPLES)
@click.option(
    "--merge",
    "parts",
    multiple=True,
    metavar="FOLDER...",
    help="Put parts of one comparison together, which several machines did.",
)
@click.option(
    "--arms", default=ALL, show_default=True, help="What is compared; your own as module:function."
)
@click.option(
    "--ablate",
    default="",
    help="ALIVE without: adversary,review,warm-up,words,corrected.",
)
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Runs.")
@click.option(
    "--budget-tokens",
    type=click.IntRange(min=1),
    default=40_000,
    show_default=True,
    help="Tokens sampled and trained, a run.",
)
@click.option(
    "--train-on",
    default="",
    metavar="DOMAINS",
    help="One run a domain of the primer, measured on all: maths,code,logic.",
)
@click.option(
    "--suite", "suites", multiple=True, default=("seed",), help="Measured on; repeatable."
)
@click.option("--limit", type=click.IntRange(min=0), default=0, help="Problems a suite, 0: all.")
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Attempts a problem at temperature 1.",
)
@click.option(
    "--wide",
    type=click.IntRange(min=0),
    default=96,
    show_default=True,
    help="Problems that get 64 attempts each, for pass@k; 0: none.",
)
@click.option("--rate", "rates", multiple=True, metavar="ARM=RATE", help="An arm's learning rate.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Processes; of several GPUs each sees one.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Stop after so long, with what is done; the same command goes on. 0: no limit.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@settings_options
def compare_command(
    parts: tuple[str, ...],
    arms: str,
    ablate: str,
    seeds: int,
    budget_tokens: int,
    train_on: str,
    suites: tuple[str, ...],
    limit: int,
    samples: int,
    wide: int,
    rates: tuple[str, ...],
    workers: int,
    minutes: float,
    out: Path,
    **options: Any,
) -> None:
    """Train arms on the same documents with the same tokens, and measure them alike.

    What is done already in --out is not done again. Parts of one comparison, as several machines
    do them with the same settings and other arms or seeds, are put together by --merge.
    """
    from rich.console import Console

    from alive.compare import Comparison, chosen_arms, compare, merge
    from alive.compare.measures import Measuring
    from alive.corpus import builtin
    from alive.evaluation import load_suite

    console = Console()
    if parts:
        folders = [Path(part) for part in (*parts, *options["more_corpus"])]
        merge(folders, out, console)
        console.print(f"written: {out / 'compare.md'}", highlight=False, soft_wrap=True)
        return
    if options["steps"] is not None:
        raise ConfigError("--steps: a comparison ends its runs by --budget-tokens, not by steps")
    shared = collect_settings(**options)
    for suite in suites:
        load_suite(suite, limit, 0)  # a mistyped one should not cost a training run
    domains = [part.strip() for part in train_on.split(",") if part.strip()]
    [whole, *_] = shared.corpus.paths
    corpora = [(name, f"{whole}-{name}") for name in domains] or [("all", "")]
    for _, part in corpora if domains else ():
        builtin.check(part)
    comparison = Comparison(
        arms=chosen_arms(arms, ablate, shared),
        shared=shared,
        corpora=corpora,
        seeds=range(shared.seed, shared.seed + seeds),
        budget=budget_tokens,
        rates=dict(_rate(text) for text in rates),
        measuring=Measuring(tuple(suites), limit, samples, wide, 64),
        out=out,
        workers=workers,
        minutes=minutes,
    )
    if compare(comparison, console):
        console.print(f"written: {out / 'compare.md'}", highlight=False, soft_wrap=True)


def _rate(text: str) -> tuple[str, float]:
    from alive.compare import ABLATIONS, ARMS

    name, _, value = text.partition("=")
    try:
        rate = float(value)
    except ValueError:
        rate = 0.0
    known = [*ARMS, *(f"alive-{ablated}" for ablated in ABLATIONS)]
    if rate <= 0 or (name not in known and ":" not in name):
        raise ConfigError(
            f"--rate {text}: write it as ARM=RATE, such as grpo=1e-4; arms are {', '.join(known)}"
        )
    return name, rate
