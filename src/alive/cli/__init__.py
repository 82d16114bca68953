"""The command line. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from alive import __version__
from alive.cli.bench import bench_command
from alive.cli.compare import compare_command
from alive.cli.completion import completion_command
from alive.cli.doctor import doctor_command
from alive.cli.evaluate import eval_command
from alive.cli.export import export_command
from alive.cli.init import init_command
from alive.cli.judge import judge_command
from alive.cli.look import report_command, view_command
from alive.cli.plan import plan_command
from alive.cli.serve import serve_command
from alive.cli.solve import solve_command
from alive.cli.train import train_command
from alive.errors import AliveError, Terminated

__all__ = ["group", "main", "run"]

_EXAMPLES = """
\b
Examples:
  alive doctor                                      what this machine lacks, if anything
  alive train                                       the seed model, in minutes, on a CPU
  alive init --model smollm2 --corpus notes/        settings for your text and machine
  alive train --preset laptop --corpus notes/       a real language model on your text
  alive eval runs/mine --suite seed --self-correct  what the run taught it
  alive solve seed "Work out 12 + 7:"               attempt, blind review, revision
  alive judge runs/mine answers.jsonl               verdicts on answers of anybody
  alive view runs/mine                              every attempt, and what trained
  alive plan --preset paper                         what a run would cost
  alive serve smollm2                               how a vLLM server samples for a run
  alive export runs/mine --to mine                  a folder other programs load, with a card
"""


@click.group(
    epilog=_EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="alive")
def group() -> None:
    """One policy poses, solves, reviews and learns, from raw text."""


group.add_command(init_command)
group.add_command(train_command)
group.add_command(eval_command)
group.add_command(solve_command)
group.add_command(judge_command)
group.add_command(compare_command)
group.add_command(plan_command)
group.add_command(serve_command)
group.add_command(bench_command)
group.add_command(view_command)
group.add_command(report_command)
group.add_command(export_command)
group.add_command(doctor_command)
group.add_command(completion_command)


def run(arguments: Sequence[str]) -> int:
    """Runs a command line and returns its exit code.

    An AliveError becomes one message on stderr and its own code (2 for the user's mistakes); with
    ``--verbose`` its traceback too. An interrupt gives 130, SIGTERM 143 and SIGHUP 129. Anything
    else is a bug and is raised.
    """
    try:
        code: int | None = group.main(
            args=list(arguments), prog_name="alive", standalone_mode=False, obj=tuple(arguments)
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except Terminated as error:
        click.echo(f"ended by {error.name}", err=True)
        return error.exit_code
    except AliveError as error:
        if "--verbose" in arguments:
            import traceback

            traceback.print_exception(error)
        click.echo(f"alive: {error}", err=True)
        return error.exit_code
    return code or 0


def main() -> None:
    """Entry point of the ``alive`` command."""
    sys.exit(run(sys.argv[1:]))
