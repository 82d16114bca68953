"""A run on several GPUs, before they are rented: what each holds, hours, cost, and what would fit.

Ranks are dealt a step's documents; each plays its own and learns from its own. Either every rank
holds all that trains and gradients are added up (adapters), or weights, gradients and moments are
divided among the ranks and each keeps a whole copy to sample from (all weights).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from alive import sizing
from alive.config import Config
from alive.doors import models
from alive.engines.footprint import Footprint
from alive.engines.shape import ModelShape, read_shape
from alive.fleet.gpus import GPUS, MOST, Fleet
from alive.fleet.rates import BASIS, Rates
from alive.plan import cheaper_ways, duration, gigabytes

__all__ = ["FleetPlan", "fleet_advice", "make_fleet_plan"]

_SLOTS = 1024
"""Completions that are written side by side at most."""


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """The cost of a run on GPUs that are not here.

    Attributes:
        config: The run's settings, those of the memory settled.
        shape: The model's sizes.
        fleet: The GPUs.
        memory: What one GPU holds.
        sampled: Completion tokens sampled a step, at most, of all ranks.
        trained: Tokens of records a step, at most, of all ranks.
        play: Seconds a step in which the slowest rank plays its documents.
        learn: Seconds a step in which it learns from them.
        exchange: Seconds a step in which ranks exchange gradients and weights, as if nothing else
            went on meanwhile.
        price: Dollars a GPU hour.
    """

    config: Config
    shape: ModelShape
    fleet: Fleet
    memory: Footprint
    sampled: int
    trained: int
    play: float
    learn: float
    exchange: float
    price: float

    @property
    def fits(self) -> bool:
        """Whether one GPU holds its part."""
        return self.memory.peak <= self.fleet.gpu.available

    @property
    def seconds(self) -> float:
        """Seconds of the whole run, at most."""
        return self.config.steps * (self.play + self.learn + self.exchange)

    @property
    def cost(self) -> float:
        """Dollars of the whole run, at most."""
        return self.seconds / 3600 * self.fleet.count * self.price

    def lines(self) -> list[tuple[str, str]]:
        """Returns label and value pairs, for people."""
        game, steps, held = self.config.game, self.config.steps, self.memory
        parts = {**held.held, **held.learning, **held.sampling}
        trained = sizing.trained_parameters(self.config, self.shape)
        rows = [("parameters", f"{self.shape.parameters:,}"), ("trained", f"{trained:,}")]
        rows.append(("GPUs", str(self.fleet)))
        rows.append(("learner", _learner(self.config, self.fleet)))
        rows.append(("documents a step, a GPU", f"{game.documents_per_step}, {_share(self):,}"))
        rows.append(("tokens of a training pass", f"{self.config.learn.pass_tokens:,}"))
        rows += [(f"a GPU: {name}", gigabytes(size)) for name, size in parts.items() if size]
        rows.append(("a GPU: peak", gigabytes(held.peak)))
        rows.append(("a GPU: available", gigabytes(self.fleet.gpu.available)))
        rows.append(("fits", "yes" if self.fits else "no"))
        rows.append(("steps, of them warm-up", f"{steps:,}, {self.config.warmup.steps:,}"))
        rows.append(("teacher in warm-up", _teacher(self.config)))
        rows.append(("tokens sampled a step, at most", f"{self.sampled:,}"))
        rows.append(("tokens trained a step, at most", f"{self.trained:,}"))
        rows.append(("tokens in all, at most", f"{steps * (self.sampled + self.trained):,}"))
        return [*rows, *self._times()]

    def _times(self) -> list[tuple[str, str]]:
        if not self.fits:
            return [("time", "not estimated: it does not fit")]
        return [
            ("play a step, at most", duration(self.play)),
            ("learn a step, at most", duration(self.learn)),
            ("exchange a step, at most", duration(self.exchange)),
            ("time in all, at most", duration(self.seconds)),
            ("price a GPU hour", f"${self.price:.2f}"),
            ("cost in all, at most", f"${self.cost:,.0f}"),
        ]

    def notes(self) -> list[str]:
        """Returns who teaches, and what hours and cost rest on, a sentence each."""
        warmup = self.config.warmup
        said = []
        if warmup.steps and warmup.teacher == "auto" and self.config.model.id not in models():
            said.append(
                f"No teacher is named: {warmup.steps} warm-up steps learn the policy's own "
                "critiques. Name an OpenAI-compatible endpoint with --set warmup.teacher=URL --set "
                "warmup.teacher_model=NAME."
            )
        if not self.fits:
            return said
        gpu = self.fleet.gpu
        price = f"The price is your own, ${self.price:.2f}."
        if self.price == gpu.price:
            price = (
                f"The price of {gpu.name} is no offer, but a typical one ({gpu.source}): give "
                "yours with --price."
            )
        return [*said, f"Hours are {BASIS}", price]


def make_fleet_plan(
    config: Config, fleet: Fleet, price: float | None = None, shape: ModelShape | None = None
) -> FleetPlan:
    """Estimates what a run takes on some GPUs, without weights and without the GPUs.

    Args:
        config: The run's settings.
        fleet: The GPUs.
        price: Dollars a GPU hour; None takes a typical one.
        shape: The model's sizes; None reads them.

    Raises:
        ModelError: The model's sizes cannot be read.
    """
    shape = shape or read_shape(config.model.id)
    device = sizing.Device(fleet.gpu.available, fleet.count)
    config = sizing.settled(config, shape, device=device)
    memory = sizing.memory_of(config, shape, device)
    sampled, trained = sizing.tokens_of(config)
    documents = config.game.documents_per_step
    own = trained * ceil(documents / fleet.count) // documents
    rank = config.model.lora_rank
    adapters = shape.lora_parameters(rank) if rank else 0
    rates = Rates(fleet.gpu, shape)
    return FleetPlan(
        config=config,
        shape=shape,
        fleet=fleet,
        memory=memory,
        sampled=sampled,
        trained=trained,
        play=_play_seconds(config, fleet, memory, rates),
        learn=own / rates.trained_tokens(adapters, memory.recomputes),
        exchange=_exchange_seconds(config, fleet, shape, own),
        price=fleet.gpu.price if price is None else price,
    )


def fleet_advice(plan: FleetPlan) -> list[str]:
    """Says what would make a run fit and what keeps GPUs idle; fits are recomputed."""
    advice = []
    game, count = plan.config.game, plan.fleet.count
    if not plan.fits:
        advice.append(_remedy(plan))
    documents = game.documents_per_step
    if documents < count:
        advice.append(
            f"game.documents_per_step = {documents} keeps {count - documents} of {count} ranks "
            f"idle; set game.documents_per_step={count}. A step then holds more, so fewer will do."
        )
    elif documents % count:
        rounds = ceil(documents / count)
        advice.append(
            f"game.documents_per_step = {documents} takes {count} ranks as long as "
            f"{rounds * count} would; set game.documents_per_step={rounds * count}."
        )
    return advice


def _remedy(plan: FleetPlan) -> str:
    """Names the mildest setting, the smallest number of GPUs and the smallest GPU that would do."""
    config, fleet = plan.config, plan.fleet
    settings = [(words, way, fleet) for words, way in cheaper_ways(config)]
    counts: list[int] = []
    if not config.model.lora_rank:  # adapters and their base are on every GPU whole
        counts = [n for n in (fleet.count << power for power in range(1, 11)) if n <= MOST]
    own = next(name for name, gpu in GPUS.items() if gpu == fleet.gpu)
    more = [(f"--gpus {n}x{own}", config, Fleet(n, fleet.gpu)) for n in counts]
    sizes = sorted(GPUS, key=lambda name: GPUS[name].memory)
    larger = [
        (f"--gpus {fleet.count}x{name}", config, Fleet(fleet.count, GPUS[name]))
        for name in sizes
        if GPUS[name].memory > fleet.gpu.memory
    ]

    def first(ways: list[tuple[str, Config, Fleet]]) -> list[str]:
        fitting = (w for w, way, on in ways if make_fleet_plan(way, on, shape=plan.shape).fits)
        return [words] if (words := next(fitting, "")) else []

    found = first(settings) + first(more) + first(larger)
    needs, has = gigabytes(plan.memory.peak), gigabytes(fleet.gpu.available)
    ways = f"It would fit with {'; or with '.join(found)}." if found else (
        "No setting that was tried makes it fit: take a smaller model."
    )  # fmt: skip
    return f"A GPU needs {needs} and has {has}. {ways}"


def _sharded(config: Config, fleet: Fleet) -> bool:
    adapted = bool(config.model.lora_rank)
    return config.learn.shards(fleet.count, on_gpus=True, adapters=adapted)


def _learner(config: Config, fleet: Fleet) -> str:
    if fleet.count == 1:
        return "one GPU"
    what = "weights, gradients, moments" if _sharded(config, fleet) else "gradients of adapters"
    how = f"divided among {fleet.count}" if _sharded(config, fleet) else "added up"
    return f"{what} {how}"


def _teacher(config: Config) -> str:
    warmup = config.warmup
    if not warmup.steps:
        return "none"
    return "auto" if warmup.teacher == "auto" else warmup.teacher_model


def _share(plan: FleetPlan) -> int:
    """Documents of the rank that has most."""
    return ceil(plan.config.game.documents_per_step / plan.fleet.count)


def _play_seconds(config: Config, fleet: Fleet, memory: Footprint, rates: Rates) -> float:
    """One stage after another, every completion at its limit, as many side by side as fit."""
    game, sampling = config.game, config.sampling
    documents = ceil(game.documents_per_step / fleet.count)
    tasks = documents * game.masks_per_document
    attempts = tasks * game.solutions_per_mask
    reviews = documents * game.reviews_per_document or attempts
    stages = [
        (tasks, sampling.pose_tokens),
        (attempts, sampling.solve_tokens),
        (reviews, sampling.review_tokens),
        (min(tasks * game.revisions_per_mask, reviews), sampling.solve_tokens),
    ]
    row = sizing.row_bytes(config, rates.shape, sizing.compute_there(config, rates.shape))
    slots = max(1, min(_SLOTS, sum(memory.sampling.values()) // row))
    seconds = 0.0
    for rows, tokens in stages:
        wide = max(1, min(rows, slots))
        seconds += rows / wide * tokens * rates.token_seconds(wide)
    return seconds


def _exchange_seconds(config: Config, fleet: Fleet, shape: ModelShape, own: int) -> float:
    """In rings: each rank sends all parts but one, once to gather or scatter, twice to add up."""
    part = (fleet.count - 1) / fleet.count / fleet.exchange
    if not _sharded(config, fleet):
        return 2 * 4 * sizing.trained_parameters(config, shape) * part
    width = 2 if sizing.compute_there(config, shape) == "bfloat16" else 4
    passes = ceil(own / config.learn.pass_tokens)
    # Forward and backward gather weights anew; the last pass alone scatters gradients; the sampler
    # gathers its copy once a step.
    gathered = (2 * passes + 1) * width * shape.parameters
    return (gathered + 4 * shape.parameters) * part
