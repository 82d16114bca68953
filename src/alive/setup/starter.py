"""A run's first settings, for a model, a corpus and a machine that were looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from alive.config import Config
from alive.corpus.survey import Survey, survey
from alive.doors import is_stranger, model_world
from alive.errors import UserError
from alive.plan import Plan, make_plan, remedy, with_throughput
from alive.settings import Layer, build_config, config_layers
from alive.setup.config_file import Choice, config_file

if TYPE_CHECKING:
    from alive.engines.shape import ModelShape

__all__ = ["Start", "find_start"]

LARGE = 50_000_000
"""Parameters from which a CPU bears small games alone."""

HOUR = 3600.0
"""Seconds a first run should take at most, where they can be told beforehand."""

_CHUNKS = (64, 128, 256, 512, 1024)
_ROOM = 0.9
"""Share of the memory available that a plan may fill: others on the machine need some too."""

Choices = dict[str, Choice]


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
    from alive.engines.models import load_tokenizer
    from alive.engines.shape import free_gpu_memory, read_shape
    from alive.prompts import make_renderer

    shape = read_shape(model)
    seen = survey(paths, make_renderer(load_tokenizer(model)).count_tokens)
    on_gpu = free_gpu_memory() is not None
    choices = {
        "model.id": Choice(model, f"{shape.parameters:,} parameters in {shape.layers} layers."),
        "corpus.paths": Choice(
            list(paths), "relative paths start at the folder in which alive is called."
        ),
    }
    preset = _preset_for(model, paths)
    choices |= _from_preset(preset) if preset else _sizes(shape, on_gpu)
    choices |= _documents(shape, seen, on_gpu)
    choices |= _fitting(choices, shape, on_gpu)
    if "learn.learning_rate" not in choices:
        choices["learn.learning_rate"] = _rate(shape, bool(choices["model.lora_rank"].value))
    config = _config(choices)
    plan = with_throughput(make_plan(config, shape), config)
    if not model_world(model) or not preset:  # of a world's own preset the length was measured
        choices |= _length(config, plan, seen)
    plan = replace(make_plan(_config(choices), shape), throughput=plan.throughput, note=plan.note)
    return Start(choices, plan, seen, on_gpu)


def _config(choices: Choices) -> Config:
    layers: list[Layer] = []
    for key, choice in choices.items():
        section, _, name = key.rpartition(".")
        leaf = {name: choice.value}
        layers.append(("alive init", {section: leaf} if section else leaf))
    return build_config(layers)


def _preset_for(model: str, paths: Sequence[str]) -> str | None:
    """The preset that knows this model on this corpus."""
    world = model_world(model)
    if world and world.preset and not is_stranger(world, paths):
        return world.preset.name.removesuffix(".toml")
    return "smollm2" if model == "smollm2" else None


def _from_preset(name: str) -> Choices:
    """What a preset sets, but for model and corpus."""
    [(_, values)] = config_layers(name, (), ())
    choices: Choices = {}
    for key, value in values.items():
        leaves = value.items() if isinstance(value, dict) else [("", value)]
        for leaf, setting in leaves:
            choices[f"{key}.{leaf}" if leaf else key] = Choice(setting, f"as in the preset {name}.")
    return {
        key: choice for key, choice in choices.items() if key not in ("model.id", "corpus.paths")
    }


def _documents(shape: ModelShape, seen: Survey, on_gpu: bool) -> Choices:
    """How long documents may be, from how long the texts are and what the machine bears."""
    most = 1024 if on_gpu else 128 if shape.parameters > LARGE else 256
    longest = seen.quantile(0.9)
    wanted = next((size for size in _CHUNKS if size >= longest), _CHUNKS[-1])
    chosen = min(wanted, most)
    why = f"nine of ten texts have up to {longest:,} tokens"
    if not seen.cut:
        why += "; they stay whole, so this is for the plan alone."
    elif chosen < wanted:
        device = "GPU" if on_gpu else "CPU"
        why += f"; longer ones are cut, as a {device} with this model bears no more."
    else:
        why += "."
    return {"corpus.chunk_tokens": Choice(chosen, why)}


def _sizes(shape: ModelShape, on_gpu: bool) -> Choices:
    """How much is played and measured."""
    if on_gpu:
        return {"game.solutions_per_mask": Choice(16, "the paper's, on a GPU.")}
    if shape.parameters <= LARGE:
        return {
            "game.solutions_per_mask": Choice(8, "half the paper's, for a CPU."),
            "evaluate.limit": Choice(60, "enough for a first look, in seconds."),
        }
    few = "for a CPU with a model of this size; more where there is time."
    return {
        "game.masks_per_document": Choice(4, few),
        "game.solutions_per_mask": Choice(4, few),
        "evaluate.limit": Choice(8, f"{few} Too few to tell small changes from none."),
        "evaluate.condition_tasks": Choice(8, few),
    }


def _rate(shape: ModelShape, adapted: bool) -> Choice:
    """A usual rate. Inferred: it was measured for no model but the seed."""
    tail = "A usual rate, not measured for this model: try half and twice."
    if adapted:
        return Choice(1e-4, f"adapters bear more than all weights. {tail}")
    for limit, rate in ((LARGE, 1e-3), (1_000_000_000, 5e-5), (5_000_000_000, 1e-5)):
        if shape.parameters <= limit:
            return Choice(rate, f"smaller for larger models. {tail}")
    return Choice(1e-6, f"smaller for larger models. {tail}")


def _fitting(choices: Choices, shape: ModelShape, on_gpu: bool) -> Choices:
    """The mildest of the ways to save memory with which the run fits.

    Raises:
        UserError: It fits with none.
    """
    for way in _ways(_config(choices), shape, on_gpu):
        plan = make_plan(_config(choices | way), shape)
        if plan.peak <= _ROOM * plan.available and plan.fits:
            return way
    plan = make_plan(_config(choices), shape)
    raise UserError(f"{plan.model} does not fit this machine, whatever is set. {remedy(plan)}")


def _ways(config: Config, shape: ModelShape, on_gpu: bool) -> Iterator[Choices]:
    """Ways to fit the memory and the disk, the mildest first."""
    longest = (
        config.corpus.chunk_tokens + config.sampling.solve_tokens + config.sampling.review_tokens
    )
    # On a CPU wider passes pad more than they gain; the logits of a large one leave its caches.
    widest = 8192 if on_gpu else 1024 if shape.parameters > LARGE else 2048
    passes = [size for size in (8192, 4096, 2048, 1024, 512) if longest <= size <= widest]
    dtype = Choice("auto", "the faster one here; weights that train are float32 in any case.")
    for rank in (0, 16):
        trained = "all weights train: they fit."
        if rank:
            trained = "all weights do not fit. Adapters need pip install 'alive-rl[lora]'."
        for size in passes or [longest]:
            why = "the most that fits." if size < widest else "more would pad more than it gains."
            way = {
                "model.dtype": dtype,
                "model.lora_rank": Choice(rank, trained),
                "learn.micro_batch_tokens": Choice(size, why),
            }
            yield way
            yield way | {"keep_checkpoints": Choice(1, "the disk has room for no more.")}


def _length(config: Config, plan: Plan, seen: Survey) -> Choices:
    """How many steps, and how the first of them are spent."""
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
        "warmup.format_steps": (4, "it has to learn to put answers into a box."),
    }
    return {key: Choice(value, said) for key, (value, said) in rest.items()}
