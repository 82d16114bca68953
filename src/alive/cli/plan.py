"""``alive plan``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click

from alive.cli.options import collect_settings, settings_options

_EXAMPLES = """
\b
Examples:
  alive plan
  alive plan --preset laptop
  alive plan --preset qwen --model path/to/model --corpus notes/
  alive plan --preset paper --set model.lora_rank=16 --set learn.micro_batch_tokens=2048
"""


@click.command("plan", epilog=_EXAMPLES)
@settings_options
def plan_command(**options: Any) -> None:
    """Say what a run will cost before it starts: memory, tokens and time.

    The time comes from a short measurement where the model is on this machine and fits. Exits with
    0 whether or not the run fits; `alive train` refuses one that does not.
    """
    from rich.console import Console

    from alive import arms
    from alive.cli.tables import plan_table
    from alive.engines.context import check_context
    from alive.errors import ModelError
    from alive.plan import make_plan, remedy, with_throughput

    config = collect_settings(**options)
    arms.check(config)
    plan = make_plan(config)
    with suppress(ModelError):  # the sizes are planned without weights or tokenizer
        check_context(config)
    plan = with_throughput(plan)
    console = Console()
    console.print(plan_table(plan))
    advice = remedy(plan)
    if advice:
        console.print(advice, markup=False, highlight=False, soft_wrap=True)
