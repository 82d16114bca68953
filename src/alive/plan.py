"""What a run will cost before it starts: memory, disk, tokens, and time where it can be measured.

Every figure is an upper bound or a stated estimate: completions are counted at their token limits
and memory at its peak. The formulas are inferred from what the engine and the learner keep.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from alive.arms.rehearsal import LEAST
from alive.config import ComputeType, Config
from alive.doors import models
from alive.engines.footprint import Footprint
from alive.engines.shape import ModelShape, read_shape
from alive.errors import ModelError, UserError
from alive.store import is_run, resumable_config
from alive.throughput import Throughput, measure_throughput

__all__ = [
    "LARGE",
    "ROOM",
    "Plan",
    "make_plan",
    "remedy",
    "require_fit",
    "settled",
    "trained_parameters",
    "with_throughput",
]

LARGE = 50_000_000
"""Parameters from which a CPU bears small games and narrow passes alone."""

ROOM = 0.9
"""Share of the memory available that a choice may fill: others on the machine need some too."""

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
        rows.append(("trained parameters", f"{trained_parameters(self.config, self.shape):,}"))
        rows += [(f"memory: {name}", _gb(size)) for name, size in self.memory.items()]
        rows.append(("memory, peak", _gb(self.peak)))
        rows.append(("memory, available here", _gb(self.available)))
        rows.append(("disk for checkpoints", _gb(self.disk)))
        rows.append(("disk, free here", _gb(self.disk_free)))
        rows.append(("steps", f"{steps:,}"))
        rows.append(("tokens sampled a step, at most", f"{self.sampled:,}"))
        rows.append(("tokens trained a step, at most", f"{self.trained:,}"))
        rows.append(("tokens in all, at most", f"{steps * (self.sampled + self.trained):,}"))
        seconds = self.step_seconds
        if seconds is None:
            rows.append(("time", self.note))
        else:
            rows.append(("time a step, at most", _duration(seconds)))
            rows.append(("time in all, at most", _duration(seconds * steps)))
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
    config = settled(config, shape)
    memory = _memory(config, shape)
    sampled, trained = _tokens(config)
    weights = trained_parameters(config, shape)
    return Plan(
        config=config,
        shape=shape,
        memory={**memory.held, **memory.learning, **memory.sampling},
        peak=memory.peak,
        available=_available_memory(),
        disk=(config.keep_checkpoints + 1) * 12 * weights,  # weights and two moments
        disk_free=shutil.disk_usage(_existing(Path(config.out or "runs"))).free,
        sampled=sampled,
        trained=trained,
    )


def settled(config: Config, shape: ModelShape | None = None, *, resume: bool = False) -> Config:
    """Fills in what settings leave to this machine: how many tokens a pass has.

    The most of 8,192 and its halves with which the run fits, where any fits, and never fewer than
    the longest record. On a CPU wider passes pad more than they gain, and the logits of a large
    model leave its caches.

    Args:
        config: The run's settings.
        shape: The model's sizes; None reads them.
        resume: Whether the run in ``config.out`` goes on, with what it began with.

    Raises:
        ModelError: The model's sizes cannot be read.
    """
    from alive.engines.shape import free_gpu_memory

    if config.learn.micro_batch_tokens:
        return config
    if resume and is_run(config.out):
        return _with_passes(config, resumable_config(config.out)["learn"]["micro_batch_tokens"])
    shape = shape or read_shape(config.model.id)
    widest = 8192
    if free_gpu_memory() is None:
        widest = 1024 if shape.parameters > LARGE else 2048
    longest = _longest(config)
    sizes = [size for size in (8192, 4096, 2048, 1024, 512) if longest <= size <= widest]
    ways = [_with_passes(config, size) for size in sizes or [longest]]
    available = _available_memory()
    fitting = (way for way in ways if _memory(way, shape).peak <= ROOM * available)
    return next(fitting, ways[-1])


def _with_passes(config: Config, tokens: int) -> Config:
    learn = config.learn.model_copy(update={"micro_batch_tokens": tokens})
    return config.model_copy(update={"learn": learn})


def _longest(config: Config) -> int:
    """Tokens of the longest record, template apart."""
    sampling = config.sampling
    return config.corpus.chunk_tokens + sampling.solve_tokens + sampling.review_tokens


def trained_parameters(config: Config, shape: ModelShape) -> int:
    """Returns how many weights take gradients."""
    rank = config.model.lora_rank
    return shape.lora_parameters(rank) if rank else shape.parameters


def remedy(plan: Plan) -> str:
    """Says what would make a run fit, only ever something that was recomputed and does.

    Returns:
        A sentence or two; empty if the run fits.
    """
    if plan.fits:
        return ""
    if plan.peak <= plan.available:
        return (
            f"The checkpoints need {_gb(plan.disk)} and {_gb(plan.disk_free)} are free: choose "
            "--out on another disk, or lower keep_checkpoints."
        )
    short = f"It needs {_gb(plan.peak)} of memory and {_gb(plan.available)} are available. "
    for words, config in _cheaper(plan.config):
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


def _memory(config: Config, shape: ModelShape) -> Footprint:
    """Bytes by part, on the device that a policy would be loaded on."""
    from alive.engines.footprint import activation_bytes_of, footprint
    from alive.engines.memory import decode_budget
    from alive.engines.shape import free_gpu_memory
    from alive.learn.head import slice_bytes

    game, learn = config.game, config.learn
    on_gpu = free_gpu_memory() is not None
    device = "cuda" if on_gpu else "cpu"
    compute = _compute(config, shape, device)
    longest = _longest(config)
    attempts = game.documents_per_step * game.masks_per_document * game.solutions_per_mask
    row = shape.cache_bytes(longest, 2 if compute == "bfloat16" else 4) + 16 * shape.vocabulary
    activation = activation_bytes_of(config.model.id, shape, config.model.lora_rank, compute)
    tokens = max(learn.pass_tokens, longest)
    free = _available_memory() - 12 * trained_parameters(config, shape)
    recomputes = learn.checkpointing == "on" or (
        learn.checkpointing == "auto" and activation * learn.pass_tokens > free / 2
    )
    return footprint(
        shape,
        rank=config.model.lora_rank,
        compute=compute,
        pass_tokens=tokens,
        activation=activation,
        recomputes=recomputes,
        slice_bytes=slice_bytes(device),
        cache=min(attempts * row, decode_budget(device, free)),
        on_gpu=on_gpu,
    )


def _compute(config: Config, shape: ModelShape, device: str) -> ComputeType:
    from alive.engines.probe import choose_compute

    if config.model.dtype != "auto":
        return config.model.dtype
    return choose_compute(device, shape.hidden, shape.intermediate)


def _tokens(config: Config) -> tuple[int, int]:
    """Completion tokens sampled and record tokens trained, a step, at the limits."""
    game, sampling, chunk = config.game, config.sampling, config.corpus.chunk_tokens
    tasks = game.documents_per_step * game.masks_per_document
    attempts = tasks * game.solutions_per_mask
    written = tasks * sampling.pose_tokens
    reviews = game.documents_per_step * game.reviews_per_document or attempts
    revisions = min(tasks * game.revisions_per_mask, reviews)
    written += attempts * sampling.solve_tokens + reviews * sampling.review_tokens
    written += revisions * sampling.solve_tokens
    # A task's attempts share one prompt; each review and revision has its own, which holds the
    # attempt and, in a revision, its review.
    prompts = 2 * tasks * chunk + reviews * (chunk + sampling.solve_tokens)
    whole = _longest(config)
    prompts += revisions * whole
    rehearsed = max(0, LEAST - reviews)
    return written, written + prompts + rehearsed * whole


def _cheaper(config: Config) -> list[tuple[str, Config]]:
    """Ways to save memory, the mildest first."""
    longest = _longest(config)
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


def _available_memory() -> int:
    """Bytes that can be had now on the device that a policy would be loaded on."""
    from alive.engines.memory import free_bytes
    from alive.engines.shape import free_gpu_memory

    return free_bytes("cpu" if free_gpu_memory() is None else "cuda")


def _existing(path: Path) -> Path:
    """Returns the nearest folder above a path that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _gb(size: int) -> str:
    return f"{size / _GB:,.2f} GB"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.0f} h"
