"""``alive completion``."""

from __future__ import annotations

import click

from alive.setup.shells import SHELLS

_PLACES = "\n".join(["\b", "Put it in place with:", *(f"  {s.command}" for s in SHELLS.values())])


@click.command(
    "completion",
    epilog=f"""
{_PLACES}

zsh looks there if ~/.zshrc has these two lines before any other compinit; bash needs its package
bash-completion. A new shell then completes commands and options after the Tab key.

\b
  fpath+=~/.zfunc
  autoload -Uz compinit && compinit

\b
Examples:
  alive completion bash
""",
)
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print the script by which a shell completes `alive` commands."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    root = context.find_root()
    click.echo(kind(root.command, {}, "alive", "_ALIVE_COMPLETE").source())
