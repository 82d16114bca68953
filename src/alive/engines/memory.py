"""How much memory is free, and what decoding may take of it."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import torch

from alive.learn.head import decoder_of

__all__ = [
    "activation_bytes",
    "decode_budget",
    "free_bytes",
    "give_back_freed",
    "most_used",
    "worth_packing",
]

_M_MMAP_THRESHOLD = -3
"""Of ``mallopt``: <malloc.h> of glibc."""


def free_bytes(device: str) -> int:
    """Bytes that can be had now: a GPU's, else the machine's or what a container's limit leaves.

    Ranks on one machine share its memory evenly.
    """
    if device == "cuda":
        free = int(torch.cuda.mem_get_info()[0])
        return free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    available = int(psutil.virtual_memory().available)
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists():
        text = limit.read_text().strip()
        if text != "max":
            available = min(available, max(int(text) - int(used.read_text()), 0))
    return available // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def decode_budget(device: str, free: int) -> int:
    """Bytes that one batch of completions may fill: its cache and its logits.

    Half of what is free, on a CPU at most an eighth of all there is, rounded down to a power of
    two. Which rows share a batch decides the last bits of their sums, so what other programs hold
    should not decide it; and a CPU gains nothing from batches that wide.
    """
    most = free // 2
    if device == "cpu":
        most = min(most, psutil.virtual_memory().total // 8)
    return 1 << max(26, max(most, 0).bit_length() - 1)


def worth_packing(added: int, free: int) -> bool:
    """Whether packed copies of matrices may take what they add: a quarter of what is free."""
    return added <= free // 4


def most_used(device: str) -> int:
    """Most bytes of tensors on the GPU so far; 0 on a CPU, which does not count them."""
    return int(torch.cuda.max_memory_allocated()) if device == "cuda" else 0


def give_back_freed() -> None:
    """Makes the C library hand large blocks back to the system as soon as they are freed.

    glibc soon takes blocks of up to 32 MiB from its heap, where a pass leaves holes that the next
    one does not fit: on a 0.5B model with adapters a fifth of the peak. From here on every block of
    a MiB or more is a mapping of its own. Other systems are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 20)


def activation_bytes(
    model: Any, autocast: AbstractContextManager[Any], decoder: Any = None
) -> float:
    """Bytes that a forward pass keeps for the backward pass, for every token of it.

    They are counted, not modelled: autograd says of each tensor that it saves it. What does not
    grow with the tokens (weights, and their copies in the compute type) is left out, and so are the
    logits, which the loss computes in parts. ``decoder`` is what the learner passes through; None:
    the model's own.
    """
    decoder = decoder_of(model) if decoder is None else decoder
    short, long = 16, 64
    with autocast:
        counts = [_saved_bytes(model, decoder, tokens) for tokens in (short, long)]
    return (counts[1] - counts[0]) / (long - short)


def _saved_bytes(model: Any, decoder: Any, tokens: int) -> int:
    kept: dict[int, Any] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage
        return tensor

    size = model.get_input_embeddings().weight.shape[0]
    ids = (torch.arange(tokens, device=model.device) % size)[None]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        states = decoder(input_ids=ids, use_cache=False)
    del states
    return sum(storage.nbytes() for storage in kept.values())
