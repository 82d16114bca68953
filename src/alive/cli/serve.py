"""``alive serve``."""

from __future__ import annotations

import os
import sys

import click

from alive.cli.options import verbose_option

_EXAMPLES = """
\b
Examples:
  alive serve smollm2
  alive serve path/to/model --port 8001
  alive serve smollm2 --start --python ../vllm-env/bin/python
"""


@click.command("serve", epilog=_EXAMPLES)
@click.argument("model", metavar="MODEL|RUN")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8000,
    show_default=True,
    help="Port on this machine.",
)
@click.option("--start", is_flag=True, help="Start it, until Ctrl-C.")
@click.option(
    "--python",
    "python",
    default="",
    metavar="PATH",
    help="Python of the environment that holds vLLM.  [default: that of the vllm on PATH]",
)
@verbose_option
def serve_command(model: str, port: int, start: bool, python: str) -> None:
    """Say how a vLLM server serves a model to `alive train --sampler`, or start it.

    vLLM needs an environment of its own: it and ALIVE want different versions of the same packages.
    """
    from alive.setup.serving import find_python, serving

    chosen = find_python(python) if start or python else "python"
    served = serving(model, port)
    click.echo(served.line(chosen))
    for note in served.notes:
        click.echo(note, err=True)
    click.echo(f"then: alive train --model {model} --sampler http://127.0.0.1:{port} ...", err=True)
    if start:
        sys.stdout.flush()
        os.execvpe(chosen, [chosen, *served.arguments], {**os.environ, **served.environment})
