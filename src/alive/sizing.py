"""What settings make a run take: memory by part, tokens a step, and how long a pass may be."""

from __future__ import annotations

from dataclasses import dataclass

from alive.arms.rehearsal import LEAST
from alive.config import ComputeType, Config
from alive.engines.footprint import Footprint
from alive.engines.shape import ModelShape, read_shape
from alive.ranks import started
from alive.store import is_run, resumable_config

__all__ = [
    "LARGE",
    "ROOM",
    "Device",
    "available_memory",
    "compute_there",
    "longest_record",
    "memory_of",
    "row_bytes",
    "settled",
    "tokens_of",
    "trained_parameters",
    "usual_rate",
    "with_passes",
]

LARGE = 50_000_000
"""Parameters from which a CPU bears small games and narrow passes alone."""

ROOM = 0.9
"""Share of the memory available that a choice may fill: others on the machine need some too."""


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU that is not here, one of several alike.

    Attributes:
        memory: Bytes that can be had on it.
        ranks: Of how many it is one; documents are dealt to them.
    """

    memory: int
    ranks: int = 1


def settled(
    config: Config,
    shape: ModelShape | None = None,
    *,
    resume: bool = False,
    device: Device | None = None,
) -> Config:
    """Fills in what settings leave open: the learning rate, and how many tokens a pass has.

    Args:
        config: The run's settings.
        shape: The model's sizes; None reads them.
        resume: Whether the run in ``config.out`` goes on, with what it began with.
        device: Where it will run; None: here.

    Raises:
        ModelError: The model's sizes cannot be read.
    """
    learn = config.learn
    left = [key for key in ("learning_rate", "micro_batch_tokens") if not getattr(learn, key)]
    if not left:
        return config
    if resume and is_run(config.out):
        began = resumable_config(config.out)["learn"]
        return _with_learn(config, **{key: began[key] for key in left})
    shape = shape or read_shape(config.model.id)
    if not learn.learning_rate:
        rate = usual_rate(shape.parameters, adapted=config.model.lora_rank > 0)
        config = _with_learn(config, learning_rate=rate)
    return config if learn.micro_batch_tokens else _with_fitting_passes(config, shape, device)


def usual_rate(parameters: int, *, adapted: bool) -> float:
    """Returns a peak learning rate that is usual for a model's size; inferred but for the seed's.

    Adam's first steps move every weight by the rate, whatever the gradient: of few weights, those
    of adapters, that is little, of all it ruins a model (docs/LOG.md, 40).
    """
    if adapted:
        return 1e-4
    sizes = ((LARGE, 1e-3), (200_000_000, 5e-5), (1_000_000_000, 5e-6), (5_000_000_000, 2e-6))
    return next((rate for size, rate in sizes if parameters <= size), 1e-6)


def trained_parameters(config: Config, shape: ModelShape) -> int:
    """Returns how many weights take gradients."""
    rank = config.model.lora_rank
    return shape.lora_parameters(rank) if rank else shape.parameters


def memory_of(config: Config, shape: ModelShape, device: Device | None = None) -> Footprint:
    """Bytes by part, on a device; None: that which a policy would be loaded on here."""
    from alive.engines.footprint import activation_bytes_of, footprint, packed_bytes
    from alive.engines.memory import decode_budget, worth_packing
    from alive.engines.packing import can_pack
    from alive.engines.shape import free_gpu_memory
    from alive.learn.head import slice_bytes

    game, learn = config.game, config.learn
    on_gpu = device is not None or free_gpu_memory() is not None
    kind = "cuda" if on_gpu else "cpu"
    compute = _compute(config, shape, kind) if device is None else compute_there(config, shape)
    ranks = device.ranks if device else started()
    adapted = bool(config.model.lora_rank)
    shards = ranks if learn.shards(ranks, on_gpus=on_gpu, adapters=adapted) else 1
    longest = longest_record(config)
    documents = -(-game.documents_per_step // ranks)
    attempts = documents * game.masks_per_document * game.solutions_per_mask
    row = row_bytes(config, shape, compute)
    activation = activation_bytes_of(config.model.id, shape, config.model.lora_rank, compute)
    tokens = max(learn.pass_tokens, longest)
    memory = device.memory if device else available_memory()
    free = memory - 12 * trained_parameters(config, shape) // shards
    if shards > 1:  # of a whole copy to sample from
        free -= (2 if compute == "bfloat16" else 4) * shape.parameters
    recomputes = learn.checkpointing == "on" or (
        learn.checkpointing == "auto" and activation * learn.pass_tokens > free / 2
    )
    rank, served = config.model.lora_rank, bool(config.sampling.servers)
    weights = (2 if rank and compute == "bfloat16" else 4) * shape.parameters
    packs = can_pack() and worth_packing(packed_bytes(shape, rank, compute), free - weights)
    return footprint(
        shape,
        rank=rank,
        compute=compute,
        pass_tokens=tokens,
        activation=activation,
        recomputes=recomputes,
        slice_bytes=slice_bytes(kind),
        cache=0 if served else min(attempts * row, decode_budget(kind, free)),
        on_gpu=on_gpu,
        packs=packs and not on_gpu,
        follower=learn.keeps_teacher and not (config.model.lora_rank and not learn.distil_follow),
        shards=shards,
        served=served,
    )


def row_bytes(config: Config, shape: ModelShape, compute: ComputeType) -> int:
    """Bytes that decoding takes for one completion: its cache, and its logits four times."""
    width = 2 if compute == "bfloat16" else 4
    return shape.cache_bytes(longest_record(config), width) + 16 * shape.vocabulary


def tokens_of(config: Config) -> tuple[int, int]:
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
    whole = longest_record(config)
    prompts += revisions * whole
    rehearsed = max(0, LEAST - reviews)
    return written, written + prompts + rehearsed * whole


def available_memory() -> int:
    """Bytes that can be had now on the device that a policy would be loaded on."""
    from alive.engines.memory import free_bytes
    from alive.engines.shape import free_gpu_memory

    return free_bytes("cpu" if free_gpu_memory() is None else "cuda")


def _with_fitting_passes(config: Config, shape: ModelShape, device: Device | None) -> Config:
    """Takes the most of 32,768 tokens and its halves with which the run fits, where any fits.

    Never fewer than the longest record. A GPU does the arithmetic of a narrow pass sooner than its
    kernels are launched; on a CPU wider passes pad more than they gain, and the logits of a large
    model leave its caches.
    """
    from alive.engines.shape import free_gpu_memory

    widest = 32_768
    if device is None and free_gpu_memory() is None:
        widest = 1024 if shape.parameters > LARGE else 2048
    longest = longest_record(config)
    sizes = [
        size for size in (32_768, 16_384, 8192, 4096, 2048, 1024, 512) if longest <= size <= widest
    ]
    ways = [with_passes(config, size) for size in sizes or [longest]]
    available = device.memory if device else available_memory()
    fitting = (way for way in ways if memory_of(way, shape, device).peak <= ROOM * available)
    return next(fitting, ways[-1])


def with_passes(config: Config, tokens: int) -> Config:
    """Returns the settings with training passes of so many tokens."""
    return _with_learn(config, micro_batch_tokens=tokens)


def _with_learn(config: Config, **values: float) -> Config:
    learn = config.learn.model_copy(update=values)
    return config.model_copy(update={"learn": learn})


def longest_record(config: Config) -> int:
    """Returns the tokens of the longest record, template apart."""
    sampling = config.sampling
    return config.corpus.chunk_tokens + sampling.solve_tokens + sampling.review_tokens


def compute_there(config: Config, shape: ModelShape) -> ComputeType:
    """What a GPU that is not here will compute in: bfloat16, as probes of such have chosen."""
    from alive.engines.probe import NARROW

    if config.model.dtype != "auto":
        return config.model.dtype
    return "float32" if shape.hidden < NARROW else "bfloat16"


def _compute(config: Config, shape: ModelShape, device: str) -> ComputeType:
    from alive.engines.probe import choose_compute

    if config.model.dtype != "auto":
        return config.model.dtype
    return choose_compute(device, shape.hidden, shape.intermediate)
