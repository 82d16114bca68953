"""What a run will cost before it starts: memory, disk, tokens, and time where it can be measured.

Every figure is an upper bound or a stated estimate: completions are counted at their token limits
and memory at its peak. The formulas are inferred from what the engine and the learner keep.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from alive import sizing
from alive.config import Config
from alive.doors import models
from alive.engines.shape import ModelShape, read_shape
from alive.errors import ModelError, UserError
from alive.throughput import Throughput, measure_throughput

__all__ = [
    "Plan",
    "cheaper_ways",
    "duration",
    "gigabytes",
    "make_plan",
    "remedy",
    "require_fit",
    "with_throughput",
]

_GB = 1e9


@dataclass(frozen=True, slots=True)
class Plan:
    """The cost of a run.

    Attributes:
        config: The run's settings, those of the memory settled.
        shape: The model's sizes.
        memory: Bytes by part.
        peak: Bytes at the worst moment: some parts exclude each other.
        available: Bytes of memory that can be had now.
        disk: Bytes of the checkpoints kept, one more while it is being written.
        disk_free: Bytes free where the run folder will be.
        sampled: Completion tokens sampled a step, at most.
        trained: Tokens of records a step, prompts included, at most.
        throughput: Measured speed; None where none was measured.
        note: Why there is no speed; empty if there is one.
    """

    config: Config
    shape: ModelShape
    memory: dict[str, int]
    peak: int
    available: int
    disk: int
    disk_free: int
    sampled: int
    trained: int
    throughput: Throughput | None = None
    note: str = "not measured"

    @property
    def model(self) -> str:
        """The model's name."""
        return self.config.model.id

    @property
    def fits(self) -> bool:
        """Whether memory and disk suffice."""
        return self.peak <= self.available and self.disk <= self.disk_free

    @property
    def step_seconds(self) -> float | None:
        """Seconds a step, at most; None without a measured speed."""
        if self.throughput is None:
            return None
        return self.sampled / self.throughput.sample + self.trained / self.throughput.train

    def lines(self) -> list[tuple[str, str]]:
        """Returns label and value pairs, for people."""
        steps = self.config.steps
        rows = [("parameters", f"{self.shape.parameters:,}")]
        rows.append(
            ("trained parameters", f"{sizing.trained_parameters(self.config, self.shape):,}")
        )
        rows += [(f"memory: {name}", gigabytes(size)) for name, size in self.memory.items()]
        rows.append(("memory, peak", gigabytes(self.peak)))
        rows.append(("memory, available here", gigabytes(self.available)))
        rows.append(("disk for checkpoints", gigabytes(self.disk)))
        rows.append(("disk, free here", gigabytes(self.disk_free)))
        rows.append(("steps", f"{steps:,}"))
        rows.append(("tokens sampled a step, at most", f"{self.sampled:,}"))
        rows.append(("tokens trained a step, at most", f"{self.trained:,}"))
        rows.append(("tokens in all, at most", f"{steps * (self.sampled + self.trained):,}"))
        seconds = self.step_seconds
        if seconds is None:
            rows.append(("time", self.note))
        else:
            rows.append(("time a step, at most", duration(seconds)))
            rows.append(("time in all, at most", duration(seconds * steps)))
        rows.append(("fits this machine", "yes" if self.fits else "no"))
        return rows


def make_plan(config: Config, shape: ModelShape | None = None) -> Plan:
    """Estimates a run's cost without loading weights.

    Args:
        config: The run's settings.
        shape: The model's sizes; None reads them.

    Raises:
        ModelError: The model's sizes cannot be read.
    """
    shape = shape or read_shape(config.model.id)
    config = sizing.settled(config, shape)
    memory = sizing.memory_of(config, shape)
    sampled, trained = sizing.tokens_of(config)
    weights = sizing.trained_parameters(config, shape)
    return Plan(
        config=config,
        shape=shape,
        memory={**memory.held, **memory.learning, **memory.sampling},
        peak=memory.peak,
        available=sizing.available_memory(),
        disk=(config.keep_checkpoints + 1) * 12 * weights,  # weights and two moments
        disk_free=shutil.disk_usage(_existing(Path(config.out or "runs"))).free,
        sampled=sampled,
        trained=trained,
    )


def remedy(plan: Plan) -> str:
    """Says what would make a run fit, only ever something that was recomputed and does.

    Returns:
        A sentence or two; empty if the run fits.
    """
    if plan.fits:
        return ""
    if plan.peak <= plan.available:
        return (
            f"The checkpoints need {gigabytes(plan.disk)} and {gigabytes(plan.disk_free)} are "
            "free: choose --out on another disk, or lower keep_checkpoints."
        )
    short = (
        f"It needs {gigabytes(plan.peak)} of memory and {gigabytes(plan.available)} are available. "
    )
    for words, config in cheaper_ways(plan.config):
        if make_plan(config, plan.shape).peak <= plan.available:
            return f"{short}It would fit with {words}."
    tried = "Small micro-batches do not" if plan.config.model.lora_rank else (
        "Neither LoRA nor small micro-batches"
    )  # fmt: skip
    return f"{short}{tried} make it fit: take a smaller model or a machine with more memory."


def require_fit(plan: Plan) -> None:
    """Refuses a run that cannot fit.

    Raises:
        UserError: It does not fit; says by how much, and what would.
    """
    if not plan.fits:
        raise UserError(f"{plan.model} does not fit this machine. {remedy(plan)}")


def with_throughput(plan: Plan) -> Plan:
    """Adds measured speed, where the model is on this machine and fits."""
    name = plan.model
    if not plan.fits:
        return replace(plan, note="not measured: it does not fit")
    if name not in (*models(), "smollm2") and not Path(name).expanduser().is_dir():
        return replace(plan, note="not measured: the weights are not on this machine")
    try:
        return replace(plan, throughput=measure_throughput(plan.config), note="")
    except ModelError as error:
        return replace(plan, note=f"not measured: {error}")


def cheaper_ways(config: Config) -> list[tuple[str, Config]]:
    """Ways to save memory, the mildest first."""
    longest = sizing.longest_record(config)
    small = config.learn.model_copy(update={"micro_batch_tokens": longest, "checkpointing": "on"})
    lora = config.model.model_copy(update={"lora_rank": 16})
    less = f"learn.micro_batch_tokens={longest} and learn.checkpointing=on"
    ways = [
        (
            less,
            config.model_copy(update={"learn": small}),
        ),
        ("model.lora_rank=16", config.model_copy(update={"model": lora})),
        (
            f"model.lora_rank=16, {less}",
            config.model_copy(update={"model": lora, "learn": small}),
        ),
    ]
    return ways if not config.model.lora_rank else ways[:1]


def _existing(path: Path) -> Path:
    """Returns the nearest folder above a path that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def gigabytes(size: int) -> str:
    """Writes bytes for people."""
    return f"{size / _GB:,.2f} GB"


def duration(seconds: float) -> str:
    """Writes seconds for people."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.0f} h"
