"""From settings to a policy that is ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from alive.config import ComputeType, LearnConfig, ModelConfig
from alive.engines.identity import identity
from alive.engines.local.policy import LocalPolicy
from alive.engines.lora import with_lora
from alive.engines.memory import give_back_freed
from alive.engines.models import end_tokens, read_config
from alive.engines.names import adapter_base
from alive.engines.probe import choose_compute, choose_threads
from alive.engines.weights import load_model
from alive.prompts import Renderer, make_renderer
from alive.ranks import ALONE, Ranks

__all__ = ["load_policy"]

_LARGE = 50_000_000
"""Weights from which on memory is worth more than the time that fresh pages take."""


def load_policy(
    model: ModelConfig,
    learn: LearnConfig | None = None,
    seed: int = 0,
    choices: Mapping[str, Any] | None = None,
    ranks: Ranks = ALONE,
    *,
    copies: bool = True,
) -> tuple[LocalPolicy, Renderer]:
    """Loads a policy and the renderer of its prompts.

    Args:
        model: Which model, what it computes in, threads and adapters.
        learn: Settings of the optimiser; None for a policy that only samples.
        seed: Run seed, for the adapters' first values.
        choices: Those of the run that goes on, as ``Policy.choices`` says; None chooses anew.
        ranks: Who learns together.
        copies: As ``LocalPolicy`` takes it.

    Raises:
        ModelError: The model cannot be used.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        # With several threads the sums of some backward passes would depend on their timing.
        torch.use_deterministic_algorithms(True)
        # That would fill all memory that is taken with NaN first, which costs a tenth of the time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    choose_threads(model.threads)
    compute = (choices or {}).get("dtype") or compute_type(model, device)
    # Weights that train are float32; a base that is frozen needs no more than is computed in.
    trains = learn is not None and not model.lora_rank
    weights, tokenizer = load_model(
        model.id,
        "float32" if trains else compute,
        device,
        bits=model.base_bits,
        whole=learn is not None,
    )
    if device == "cpu" and weights.num_parameters() > _LARGE:
        give_back_freed()
    name = identity(weights, tokenizer) if learn is not None else ""
    if model.lora_rank and learn is not None:
        weights = with_lora(weights, model.lora_rank, model.lora_alpha, seed)
    renderer = make_renderer(tokenizer, model.prompts, end_tokens(weights, tokenizer))
    policy = LocalPolicy(
        weights,
        tokenizer,
        renderer,
        learn,
        dtype=compute,
        base=adapter_base(model.id),
        identity=name,
        choices=choices,
        ranks=ranks,
        copies=copies,
    )
    return policy, renderer


def compute_type(model: ModelConfig, device: str) -> ComputeType:
    """What a model computes in on a device: as set, or the faster by a probe at its own width."""
    if model.dtype != "auto":
        return model.dtype
    text = read_config(model.id).get_text_config(decoder=True)
    hidden = text.hidden_size
    return choose_compute(device, hidden, getattr(text, "intermediate_size", None) or 4 * hidden)
