"""``alive train --ray``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from alive.errors import ConfigError

if TYPE_CHECKING:
    from alive.config import Config

Command = TypeVar("Command", bound=Callable[..., Any])


def ray_options(command: Command) -> Command:
    """Adds ``--ray`` and what it takes."""
    command = click.option(
        "--samplers",
        type=click.IntRange(min=0),
        default=0,
        help="With --ray: processes that only sample; 0: each rank samples for itself.",
    )(command)
    return click.option(
        "--ray",
        is_flag=True,
        help="On a Ray cluster (RAY_ADDRESS; else this machine alone). What dies is started again, "
        "and the same command goes on with the run in --out.",
    )(command)


def require_options(ray: bool, samplers: int) -> None:
    """Refuses what nobody would heed.

    Raises:
        UsageError: Samplers are asked for without Ray.
    """
    if samplers and not ray:
        raise click.UsageError("--samplers needs --ray")


def train_on_ray(config: Config, ranks: int, samplers: int) -> dict[str, Any]:
    """Makes the run of these settings on a Ray cluster; returns its summary.

    Raises:
        ConfigError: Both servers and samplers of the cluster are to sample.
        AliveError: See ``alive.cluster.train``.
    """
    if samplers and config.sampling.servers:
        raise ConfigError(
            "--samplers: sampling.servers names servers that sample already; leave one of them out"
        )
    from alive.cluster import train

    def say(text: str) -> None:
        click.echo(f"alive: {text}", err=True)

    return train(config, ranks, samplers, say)
