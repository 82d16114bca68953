"""Options several commands share, and the settings they add up to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from alive.errors import UserError

if TYPE_CHECKING:
    from alive.config import Config
    from alive.settings import Layer

Command = TypeVar("Command", bound=Callable[..., Any])

verbose_option = click.option(
    "--verbose", is_flag=True, expose_value=False, help="Show the traceback of an error."
)
seed_option = click.option("--seed", type=int, default=0, show_default=True, help="Seed.")
max_tokens_option = click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=None,
    help="Longest attempt, tokens.  [default: the run's, or what suits the model]",
)


sampler_option = click.option(
    "--sampler",
    "servers",
    multiple=True,
    metavar="URL",
    help="Let a vLLM server sample (see `alive serve`); repeatable, each is a replica.",
)


def newest_run() -> Path | None:
    """Returns the run below ``runs/`` that was started or resumed last; None without any."""
    runs = [path.parent for path in Path("runs").glob("*/config.json")]
    return max(runs, key=lambda run: (run / "config.json").stat().st_mtime, default=None)


def _presets(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Names of presets for the Tab key, without the settings' own imports."""
    from alive.doors import preset_files

    return sorted(name for name in preset_files() if name.startswith(begun))


def settings_options(command: Command) -> Command:
    """Adds the options that ``collect_settings`` reads."""
    for option in (
        verbose_option,
        click.option("--seed", type=int, default=None, help="Run seed."),
        click.option("--steps", type=int, default=None, help="Training steps."),
        click.option(
            "--corpus",
            multiple=True,
            metavar="PATH...",
            help="Text to learn from: files (text, JSON, Parquet; packed too), folders, datasets "
            "on disk or OWNER/NAME of the Hub, builtin:NAME.",
        ),
        click.option(
            "--model", default=None, help="'seed', 'smollm2', a model folder or a hub id."
        ),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="Any setting, such as game.masks_per_document=4; repeatable.",
        ),
        click.option(
            "--config",
            "files",
            multiple=True,
            type=click.Path(path_type=Path),
            help="TOML file of settings; repeatable, later files win.",
        ),
        click.option(
            "--preset",
            default=None,
            shell_complete=_presets,
            help="quickstart (the seed model's own), laptop, qwen or paper.",
        ),
    ):
        command = option(command)
    return click.argument("more_corpus", nargs=-1, metavar="")(command)


def collect_settings(
    *,
    preset: str | None,
    files: tuple[Path, ...],
    overrides: tuple[str, ...],
    model: str | None,
    corpus: tuple[str, ...],
    more_corpus: tuple[str, ...],
    steps: int | None,
    seed: int | None,
    servers: tuple[str, ...] = (),
    base: Layer | None = None,
) -> Config:
    """Merges the options: base or preset, files, ``--set``, then the options with own names.

    The seed model has a preset of its own, which lies under its settings unless another is named.

    Args:
        preset: Preset name.
        files: TOML files.
        overrides: ``--set`` texts.
        model: ``--model``.
        corpus: ``--corpus``.
        more_corpus: Further paths after ``--corpus``, as a shell's wildcard gives them.
        steps: ``--steps``.
        seed: ``--seed``.
        servers: ``--sampler``.
        base: What lies under everything if there is neither preset nor file: the settings of a
            run that is resumed.

    Raises:
        UserError: A path without ``--corpus``, or a wrong setting.
    """
    from alive.settings import build_config, config_layers, implied_preset

    if more_corpus and not corpus:
        raise UserError(f"unexpected argument {more_corpus[0]}; name text with --corpus PATH")
    layers: list[Layer] = config_layers(preset, files, overrides)
    named: list[tuple[str, str, Any]] = [
        ("--model", "model.id", model),
        ("--corpus", "corpus.paths", [*corpus, *more_corpus] or None),
        ("--steps", "steps", steps),
        ("--seed", "seed", seed),
        ("--sampler", "sampling.servers", [*servers] or None),
    ]
    for option, key, value in named:
        if value is not None:
            section, _, leaf = key.rpartition(".")
            layers.append((option, {section: {leaf: value}} if section else {leaf: value}))
    if preset is None and base is not None and not files:
        layers.insert(0, base)
    elif preset is None and (own := implied_preset(layers)):
        layers[:0] = config_layers(own, (), ())
    return build_config(layers)
