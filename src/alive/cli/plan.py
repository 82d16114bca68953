"""``alive plan``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click

from alive.cli.options import collect_settings, settings_options
from alive.errors import ModelError, UserError

_EXAMPLES = """
\b
Examples:
  alive plan
  alive plan --preset laptop
  alive plan --preset qwen --model path/to/model --corpus notes/
  alive plan --preset paper --set model.lora_rank=16 --set learn.micro_batch_tokens=2048
  alive plan --preset paper --gpus 8xH100 --set game.documents_per_step=8
"""


@click.command("plan", epilog=_EXAMPLES)
@click.option(
    "--gpus",
    default=None,
    metavar="COUNTxNAME",
    help="Plan for these GPUs instead of this machine, such as 8xH100: H100, H200, A100, A100-40, "
    "L40S or 4090.",
)
@click.option(
    "--price",
    type=click.FloatRange(min=0.0),
    default=None,
    help="With --gpus: dollars an hour of one.  [default: a typical one]",
)
@settings_options
def plan_command(gpus: str | None, price: float | None, **options: Any) -> None:
    """Say what a run will cost before it starts: memory, tokens and time.

    The time comes from a short measurement where the model is on this machine and fits. Exits with
    0 whether or not the run fits; `alive train` refuses one that does not. With --gpus nothing is
    measured: hours are estimated from rates that were measured elsewhere.
    """
    if gpus is not None:
        _plan_fleet(gpus, price, options)
        return
    if price is not None:
        raise UserError("--price is the price of what --gpus names, such as --gpus 8xH100")
    from rich.console import Console

    from alive import arms
    from alive.cli.tables import plan_table
    from alive.engines.context import check_context
    from alive.plan import make_plan, remedy, with_throughput

    config = collect_settings(**options)
    arms.check(config)
    plan = make_plan(config)
    with suppress(ModelError):  # the sizes are planned without weights or tokenizer
        check_context(config)
    plan = with_throughput(plan)
    console = Console()
    console.print(plan_table(plan.model, plan.lines()))
    advice = remedy(plan)
    if advice:
        console.print(advice, markup=False, highlight=False, soft_wrap=True)


def _plan_fleet(gpus: str, price: float | None, options: dict[str, Any]) -> None:
    """Plans for GPUs that are not here."""
    from rich.console import Console

    from alive import arms
    from alive.cli.tables import plan_table
    from alive.fleet import fleet_advice, make_fleet_plan, parse_fleet

    fleet = parse_fleet(gpus)
    config = collect_settings(**options)
    arms.check(config)
    plan = make_fleet_plan(config, fleet, price)
    console = Console()
    console.print(plan_table(config.model.id, plan.lines()))
    for sentence in (*fleet_advice(plan), *plan.notes()):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
