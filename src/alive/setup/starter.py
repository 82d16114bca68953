"""A run's first settings, for a model, a corpus and a machine that were looked at."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from alive.config import Config
from alive.corpus.survey import Survey, survey
from alive.doors import is_stranger, model_world
from alive.errors import UserError
from alive.plan import Plan, make_plan, remedy, with_throughput
from alive.setup.config_file import Choice, config_file
from alive.setup.sizes import (
    Choices,
    as_config,
    completions,
    documents,
    from_preset,
    rate,
    sizes_of_game,
    value_of,
    within_context,
)
from alive.sizing import LARGE, ROOM

if TYPE_CHECKING:
    from alive.engines.shape import ModelShape

__all__ = ["Start", "find_start"]

HOUR = 3600.0
"""Seconds a first run should take at most, where they can be told beforehand."""

STEP = 1800.0
"""Seconds a step may take with each completion as long as it may be: several times the usual."""

_LEAST = {
    "game.documents_per_step": 1,
    "game.solutions_per_mask": 4,
    "game.masks_per_document": 2,
}
"""What a step is cut down to where it would take too long, in this order."""


@dataclass(frozen=True, slots=True)
class Start:
    """What was found, and the settings that follow from it.

    Attributes:
        choices: By ``section.key``, what is set and why.
        plan: What the run will cost.
        seen: The corpus.
        on_gpu: Whether it will run on a GPU.
    """

    choices: Choices
    plan: Plan
    seen: Survey
    on_gpu: bool

    def found(self) -> list[tuple[str, str]]:
        """Returns label and value pairs of what was looked at, for people."""
        seen, plan = self.seen, self.plan
        about = "" if seen.whole else "about "
        tokens = f"{seen.quantile(0.5):,} ({seen.quantile(0.1):,} to {seen.quantile(0.9):,})"
        epoch = seen.epoch(plan.config.corpus.chunk_tokens)
        return [
            ("parameters", f"{plan.shape.parameters:,}"),
            ("device", "GPU" if self.on_gpu else "CPU"),
            ("memory available", f"{plan.available / 1e9:,.2f} GB"),
            ("files, datasets, builtins", f"{seen.files:,}"),
            ("texts", f"{about}{seen.sources:,}"),
            ("tokens of a text, median (80 % between)", tokens),
            ("documents of an epoch", f"about {epoch:,}"),
        ]

    def text(self, command: str) -> str:
        """Returns the settings file.

        Args:
            command: What starts the run, for its head.
        """
        facts = "\n".join(f"  {label}: {value}" for label, value in self.found())
        cost = "\n".join(
            f"  {label}: {value}"
            for label, value in self.plan.lines()
            if label.startswith(("memory, peak", "disk for", "tokens in all", "time"))
        )
        return config_file(
            f"Settings of a run, written by alive init. Start it with: {command}\n\n"
            f"Found:\n{facts}\n\nCost:\n{cost}\n\n"
            "What is set below was chosen for these. What is commented out has its default.",
            self.choices,
        )


def find_start(model: str, paths: Sequence[str]) -> Start:
    """Looks at a model, a corpus and this machine, and chooses settings that fit.

    Loads the model's weights for a moment where they are on this machine, to tell the time.

    Args:
        model: As ``alive train --model`` takes it.
        paths: As ``alive train --corpus`` takes it.

    Raises:
        ModelError: The model cannot be used.
        CorpusError: The corpus cannot be used.
        UserError: Nothing makes the run fit this machine.
    """
    from alive.engines.context import room
    from alive.engines.models import load_tokenizer
    from alive.engines.shape import free_gpu_memory, read_shape
    from alive.prompts import make_renderer

    shape = read_shape(model)
    renderer = make_renderer(load_tokenizer(model))
    seen = survey(paths, renderer.count_tokens)
    on_gpu = free_gpu_memory() is not None
    choices = {
        "model.id": Choice(model, f"{shape.parameters:,} parameters in {shape.layers} layers."),
        "corpus.paths": Choice(
            list(paths), "relative paths start at the folder in which alive is called."
        ),
    }
    world = model_world(model)
    preset = world.preset.name.removesuffix(".toml") if world and world.preset else None
    choices |= from_preset(preset) if preset else sizes_of_game(shape, on_gpu)
    choices |= documents(seen, on_gpu)
    if not preset:
        choices |= completions(choices["corpus.chunk_tokens"].value, seen, on_gpu)
    choices |= within_context(choices, renderer, room(model))
    choices |= _fitting(choices, shape, on_gpu)
    if "learn.learning_rate" not in choices:
        choices["learn.learning_rate"] = rate(shape, bool(choices["model.lora_rank"].value))
    plan = with_throughput(make_plan(as_config(choices), shape))
    if not preset or (world and is_stranger(world, paths)):  # on its own these were measured
        choices |= _paced(choices, plan)
        plan = _timed(choices, plan)
        choices |= _length(plan, seen)
    return Start(choices, _timed(choices, plan), seen, on_gpu)


def _timed(choices: Choices, plan: Plan) -> Plan:
    """The plan of other settings for the same model, at the speed already measured."""
    again = make_plan(as_config(choices), plan.shape)
    return replace(again, throughput=plan.throughput, note=plan.note)


def _fitting(choices: Choices, shape: ModelShape, on_gpu: bool) -> Choices:
    """The mildest of the ways to save memory with which the run fits.

    Raises:
        UserError: It fits with none.
    """
    for way in _ways(shape, on_gpu):
        plan = make_plan(as_config(choices | way), shape)
        if plan.peak <= ROOM * plan.available and plan.fits:
            size = plan.config.learn.micro_batch_tokens
            return way | {
                "learn.micro_batch_tokens": Choice(size, "the most that fits and gains anything.")
            }
    plan = make_plan(as_config(choices), shape)
    raise UserError(f"{plan.model} does not fit this machine, whatever is set. {remedy(plan)}")


def _ways(shape: ModelShape, on_gpu: bool) -> Iterator[Choices]:
    """Ways to fit the memory and the disk, the mildest first; passes get what each leaves."""
    dtype = Choice("auto", "the faster one here; weights that train are float32 in any case.")
    whole = Choice(0, "all weights train: they fit.")
    adapters = Choice(16, "all weights do not fit. Adapters need pip install 'alive-rl[lora]'.")
    ranks = [whole, adapters]
    if not on_gpu and shape.parameters > LARGE and importlib.util.find_spec("peft"):
        ranks = [Choice(16, "adapters: a CPU has neither time nor memory for all weights.")]
    for rank in ranks:
        way = {
            "model.dtype": dtype,
            "model.lora_rank": rank,
            # What a preset says of it was for another model or machine.
            "learn.micro_batch_tokens": Choice(0, ""),
        }
        yield way
        yield way | {"keep_checkpoints": Choice(1, "the disk has room for no more.")}


def _paced(choices: Choices, plan: Plan) -> Choices:
    """A smaller game where a step would take too long, as far as its time is known."""
    smaller: Choices = {}
    for name, least in _LEAST.items():
        while (seconds := _timed(choices | smaller, plan).step_seconds or 0.0) > STEP:
            size = value_of(as_config(choices | smaller), name)
            if size <= least:
                break
            why = f"a step would take up to {seconds / 60:,.0f} min with {size}."
            smaller[name] = Choice(max(least, size // 2), why)
    return smaller


def _length(plan: Plan, seen: Survey) -> Choices:
    """How many steps, and how the first of them are spent."""
    config = plan.config
    epoch = max(1, seen.epoch(config.corpus.chunk_tokens) // config.game.documents_per_step)
    seconds = plan.step_seconds
    limits = [
        (epoch, "each document about once."),
        (Config().steps, f"the default; an epoch has {epoch:,}."),
    ]
    if seconds is not None:
        limits.append((int(HOUR / seconds), f"about an hour, at {seconds:,.0f} s a step at most."))
    steps, why = min(limits)
    if steps < 4:
        steps, why = 4, "a few, to see it work."
    warm = max(1, steps // 10)
    rest: dict[str, tuple[Any, str]] = {
        "steps": (steps, why),
        "checkpoint_every": (max(1, steps // 4), "about four in all."),
        "warmup.steps": (warm, "a tenth of the steps: until its own reviews can be read."),
    }
    return {key: Choice(value, said) for key, (value, said) in rest.items()}
