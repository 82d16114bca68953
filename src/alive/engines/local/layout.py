"""How a model's rows may stand beside each other in a batch.

Full attention forgives padding anywhere. A sliding window counts places, so padding between a row's
own tokens would push some of them out of it. A recurrent layer reads every place. The kinds of
layers in transformers' cache tell which layouts are worth trying; a few tokens are then decoded in
each, and the first that agrees with plain passes is taken.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import torch
from transformers.cache_utils import DummyLayer, DynamicLayer, DynamicSlidingWindowLayer

from alive.engines.refusals import FAULTS
from alive.errors import ModelError

__all__ = ["Layout", "accepted", "cache_name", "choose_layout", "plain_logprobs", "probe_cache"]

Drawer = Callable[["Layout", Sequence[Sequence[int]]], Sequence[tuple[Sequence[int], Any]]]
"""Decodes a few tokens after each prompt in a layout: their ids and log-probabilities."""

TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.25}
"""Nats by which a log-probability may differ between two orders of the same sums."""

_PART = 128
"""Tokens of which every other token's log-probability is held in float32 at once."""

_COMMON = tuple(range(3, 23))
_PROMPTS = tuple((*_COMMON, *rest) for rest in ((5, 4, 3), (9,), (2, 8, 7, 5, 3, 9, 4)))
"""Begin alike for long enough that the beginning is shared where that is allowed."""


class Layout(Enum):
    """What the rows of a batch have in common, from the fastest to the slowest."""

    SLOTTED = "each row has a slot of one cache, and writes in place"
    SHARED = "beginnings are encoded once, rows are padded anywhere"
    PADDED = "rows are padded on the left"
    EQUAL = "prompts of equal length stand side by side"
    UNCACHED = "each token is a pass over all before it"


def accepted(model: Any, *names: str) -> frozenset[str]:
    """Returns those of the names that a model's forward pass takes as arguments."""
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    taken = inspect.signature(base.forward).parameters
    return frozenset(name for name in names if name in taken)


def choose_layout(
    model: Any, draw: Drawer, dtype: torch.dtype, among: Sequence[Layout] | None = None
) -> Layout:
    """Returns the fastest layout in which decoding agrees with plain passes.

    Args:
        model: A transformers causal LM.
        draw: Decodes from it.
        dtype: What it computes in, whatever its weights are.
        among: Layouts to try, the fastest first; those that pad or share by default.

    Raises:
        ModelError: None does.
    """
    size = model.get_input_embeddings().weight.shape[0]
    prompts = [[token % size for token in prompt] for prompt in _PROMPTS]
    reasons = []
    for layout in among or _candidates(model):
        try:
            worst = max(
                (torch.tensor(logprobs) - plain_logprobs(model, prompt, ids)).abs().max().item()
                for prompt, (ids, logprobs) in zip(prompts, draw(layout, prompts), strict=True)
            )
        except FAULTS as error:
            reasons.append(f"{layout.name.lower()}: {type(error).__name__} ({error})")
            continue
        if worst <= TOLERANCE[dtype]:
            return layout
        reasons.append(f"{layout.name.lower()}: off by {worst:.2g} nats")
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    raise ModelError(
        f"{type(base).__name__} cannot be sampled here: its tokens do not get the probabilities of "
        f"a plain pass in any layout ({'; '.join(reasons)}). Choose a model of another family"
    )


@torch.no_grad()
def plain_logprobs(model: Any, prompt: Sequence[int], ids: Sequence[int]) -> torch.Tensor:
    """Log-probabilities of a completion, [T], by one pass over the whole without cache or mask."""
    row = torch.tensor([[*prompt, *ids]], device=model.device)
    logits = model(input_ids=row, use_cache=False).logits[0, len(prompt) - 1 : -1]
    targets = torch.tensor(list(ids), device=model.device)[:, None]
    parts = zip(torch.split(logits, _PART), torch.split(targets, _PART), strict=True)
    found = [torch.log_softmax(part.float(), -1).gather(-1, target) for part, target in parts]
    return torch.cat(found).squeeze(-1).cpu()


@torch.no_grad()
def probe_cache(model: Any) -> tuple[Any, int, int]:
    """Passes a few tokens through a model.

    Returns:
        Its cache (None where it keeps none), the number of tokens, and that of logits a token has.
    """
    size = model.get_input_embeddings().weight.shape[0]
    row = torch.tensor([[token % size for token in _COMMON]], device=model.device)
    try:
        out = model(input_ids=row, use_cache=True)
    except FAULTS:  # a family that cannot keep its own; it is sampled without
        out = model(input_ids=row, use_cache=False)
    return getattr(out, cache_name(model), None), row.shape[1], out.logits.shape[-1]


def cache_name(model: Any) -> str:
    """What a model calls its cache, as an argument and as an output."""
    return "cache_params" if accepted(model, "cache_params") else "past_key_values"


def _candidates(model: Any) -> list[Layout]:
    """The layouts that a model's kinds of layers allow."""
    layouts = list(Layout)[1:]  # slots are asked for by name
    cache = probe_cache(model)[0]
    if not getattr(cache, "layers", None):
        return [Layout.UNCACHED]
    kinds = {type(layer) for layer in cache.layers} - {DummyLayer}
    text = model.config.get_text_config(decoder=True)
    # GPT-Neo's windows are longer than a probe, and its cache does not know of them.
    windows = any(getattr(text, name, None) for name in ("sliding_window", "window_size"))
    if kinds <= {DynamicLayer} and not windows:
        return layouts
    if kinds <= {DynamicLayer, DynamicSlidingWindowLayer}:
        return layouts[1:]
    return layouts[2:]
