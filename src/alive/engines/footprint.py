"""What a run holds in memory, part by part, without its weights."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from alive.config import ComputeType
from alive.engines.shape import ModelShape

__all__ = ["Footprint", "activation_bytes_of", "footprint", "gathered_bytes", "packed_bytes"]

RUNTIME = 430_000_000
"""Bytes of a process that has imported torch, transformers and pyarrow and holds no model."""

PEFT = 100_000_000
"""Bytes that PEFT adds."""

_SLICES = 5
"""Copies of a slice of logits that the loss holds: the product, its float32, three of its backward
pass."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes by part.

    Attributes:
        held: What is there all the time: weights, moments, the sampler's copy.
        learning: What an update adds.
        sampling: What decoding adds.
        recomputes: Whether the backward pass computes layers once more.
    """

    held: dict[str, int]
    learning: dict[str, int]
    sampling: dict[str, int]
    recomputes: bool

    @property
    def peak(self) -> int:
        """Bytes at the worst moment; sampling and learning do not overlap."""
        learning, sampling = (sum(part.values()) for part in (self.learning, self.sampling))
        return sum(self.held.values()) + max(learning, sampling)


def footprint(
    shape: ModelShape,
    *,
    rank: int,
    compute: ComputeType,
    pass_tokens: int,
    activation: float,
    recomputes: bool,
    slice_bytes: int,
    cache: int,
    on_gpu: bool,
    packs: bool = False,
    follower: bool = False,
    shards: int = 1,
    served: bool = False,
) -> Footprint:
    """Adds up what the engine and the learner hold on one device.

    Args:
        shape: The model's sizes.
        rank: Of LoRA adapters; 0 trains all weights.
        compute: What is computed in.
        pass_tokens: Tokens of one forward and backward pass, padding included.
        activation: Bytes that a token keeps for the backward pass.
        recomputes: Whether layers keep their inputs alone.
        slice_bytes: Float32 logits that the loss computes at a time.
        cache: Bytes of the largest batch of completions.
        on_gpu: Whether the device's memory is counted, or that of the process.
        packs: Whether the sampler's matrices are packed.
        follower: Whether a teacher holds weights of its own.
        shards: Devices among which weights, gradients and moments are divided; of all weights
            alone, adapters are held whole.
        served: Whether servers sample.
    """
    low = compute == "bfloat16"
    embedding = shape.vocabulary * shape.hidden
    matrices = shape.parameters - embedding  # the head is among them where it is a matrix apart
    trained = shape.lora_parameters(rank) if rank else shape.parameters
    base = 2 if rank and low else 4
    copied = trained if rank else shape.read_matrices
    copies = (2 * copied if low else 0) + (packed_bytes(shape, rank, compute) if packs else 0)
    if shards > 1:  # a rank's shard is nothing to sample from
        copies = (2 if low else 4) * shape.parameters
    if served:  # none to sample from; what is written for a server is put together in the process
        copies = 0 if on_gpu or not (rank or low) else (2 if low else 4) * shape.parameters
    inputs = shape.layers * shape.hidden * (2 if rank and low else 4)
    kept = activation
    if recomputes:  # the inputs of all layers, and one layer whole
        kept = inputs + activation / shape.layers
    held = {
        "weights": base * shape.parameters // shards + (4 * trained if rank else 0),
        "Adam": 8 * trained // shards,
        "weights to be sent" if served else "sampler's copy": copies,
        **({"teacher": 4 * trained // shards} if follower else {}),
        "runtime": 0 if on_gpu else RUNTIME + (PEFT if rank else 0),
    }
    casts = 2 * (trained if rank else matrices) if low else 0
    whole = {"weights in the compute type": casts // (shape.layers if recomputes else 1)}
    head = 0 if rank or shards > 1 else (6 if low else 4) * embedding
    learning = {
        "gradients": 4 * trained // shards,
        **(gathered_bytes(shape, compute) if shards > 1 else whole),
        "activations": int(kept * pass_tokens),
        "logits": _SLICES * min(slice_bytes, 4 * shape.vocabulary * pass_tokens) + head,
    }
    return Footprint(held, learning, {"cache and logits of completions": cache}, recomputes)


def gathered_bytes(shape: ModelShape, compute: ComputeType) -> dict[str, int]:
    """Bytes of what a pass over sharded weights holds whole, part by part, at most.

    Embedding, head and last norm are one group, which stays gathered until its own gradients are
    there; of the layers that at work and the next one are. A group's gradients are whole in the
    compute type and in float32 before they are scattered: a layer's beside those of the head, or
    at the end, when no weights are gathered any more, those of the first group.
    """
    width = 2 if compute == "bfloat16" else 4
    embedding = shape.vocabulary * shape.hidden
    root = embedding * (1 if shape.tied else 2) + shape.hidden
    layer = (shape.parameters - root) // shape.layers
    gathered = width * (root + 2 * layer)
    last = (width + 4) * root - gathered  # what it takes beyond that
    return {
        "weights gathered": gathered,
        "gradients to scatter": max((width + 4) * layer + width * embedding, last),
    }


def packed_bytes(shape: ModelShape, rank: int, compute: ComputeType) -> int:
    """Bytes that packing the sampler's matrices adds (see ``engines.packing``)."""
    from alive.engines.packing import LEAST

    if shape.hidden * shape.intermediate < LEAST or (compute == "bfloat16" and not rank):
        return 0  # none is worth it, or all are copied anyway
    return (2 if compute == "bfloat16" else 4) * shape.read_matrices


def activation_bytes_of(id: str, shape: ModelShape, rank: int, compute: ComputeType) -> float:
    """Bytes a token keeps for the backward pass, counted on a few layers of random weights.

    A model of which nothing but its sizes can be read is estimated as a Llama.
    """
    from alive.engines.models import read_config
    from alive.engines.refusals import explained
    from alive.engines.shape import KNOWN
    from alive.errors import ModelError

    try:
        # Whoever knows the sizes has asked the hub already, or will not.
        config = None if id in KNOWN else read_config(id, cached=True)
    except ModelError:
        config = None
    if config is None:
        width = 3 if compute == "bfloat16" else 4  # some of it is kept in either type
        return width * shape.activation_numbers()
    some = min(4, shape.layers)
    few = max(1, some // 2)
    with explained(id):
        counted = {n: _counted(config, n, rank, compute) for n in {some, few}}
    if some == few:
        return counted[some]
    each = (counted[some] - counted[few]) / (some - few)
    return counted[some] + each * (shape.layers - some)


def _counted(config: Any, layers: int, rank: int, compute: ComputeType) -> float:
    import torch
    from transformers import AutoModelForCausalLM

    from alive.engines.lean import lean_decoder
    from alive.engines.lora import with_lora
    from alive.engines.memory import activation_bytes
    from alive.engines.precision import Precision

    config = copy.deepcopy(config)
    text = config.get_text_config(decoder=True)
    text.num_hidden_layers, text.vocab_size, text.pad_token_id = layers, 64, 0
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:layers]
    precision = Precision(compute, "cpu")
    with torch.random.fork_rng():
        build: Any = AutoModelForCausalLM.from_config
        dtype = precision.dtype if rank else torch.float32
        model = build(config, trust_remote_code=False, dtype=dtype).eval()
        if rank:
            model = with_lora(model, rank, 1.0)
    with precision.autocast():
        decoder = lean_decoder(model, precision.dtype)
    return activation_bytes(model, precision.autocast(), decoder)
