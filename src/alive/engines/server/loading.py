"""From URLs to what samples there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alive.config import Config, ModelConfig
from alive.engines.context import longest
from alive.engines.local import load_policy
from alive.engines.models import load_tokenizer, read_config, stored_end_tokens
from alive.engines.refusals import max_positions
from alive.engines.server.client import Replica
from alive.engines.server.policy import ServedPolicy
from alive.engines.server.sampler import RemoteSampler
from alive.errors import ConfigError
from alive.prompts import Renderer, make_renderer
from alive.ranks import Ranks

__all__ = ["load_remote", "load_served", "open_replicas"]


def open_replicas(urls: Sequence[str]) -> list[Replica]:
    """Asks servers what they serve.

    Raises:
        ConfigError: A URL is unusable.
        ServerError: A server cannot be reached, or is none of vLLM's.
    """
    replicas = [Replica(url) for url in urls]
    for replica in replicas:
        replica.warn_of_host()
    return replicas


def load_served(
    config: Config,
    model: ModelConfig,
    folder: Path,
    replicas: Sequence[Replica],
    choices: Mapping[str, Any],
    ranks: Ranks,
) -> tuple[ServedPolicy, Renderer]:
    """Loads a policy that learns here and is sampled by servers.

    Args:
        config: The run's settings.
        model: Those of the model, its threads settled.
        folder: The run's.
        replicas: The servers.
        choices: As for ``load_policy``.
        ranks: Who learns together; all ask the same servers.

    Raises:
        ConfigError: Prompts and completions may outgrow what a server has room for, or the base has
            4 bits.
        ModelError: The model cannot be used.
        ServerError: A server cannot be used.
    """
    if model.base_bits == 4:
        raise ConfigError(
            "--sampler: adapters on a base of 4 bits cannot be merged for a server; set "
            "model.base_bits=16"
        )
    learner, renderer = load_policy(model, config.learn, config.seed, choices, ranks, copies=False)
    need = longest(renderer, config)
    for replica in replicas:
        if replica.room is not None and need.tokens > replica.room:
            raise ConfigError(
                f"the sampler at {replica.url} has room for {replica.room} tokens, and a "
                f"{need.role} needs up to {need.tokens}; start it with --max-model-len "
                f"{need.tokens}, or lower {' or '.join(need.settings)}"
            )
    return ServedPolicy(learner, replicas, folder / "served", ranks), renderer


def load_remote(model: ModelConfig, urls: Sequence[str]) -> tuple[RemoteSampler, Renderer]:
    """Prepares to sample a model by servers that hold it already; none of its weights is read here.

    Args:
        model: For its tokenizer and prompts.
        urls: At least one.

    Raises:
        ConfigError: A URL is unusable.
        ModelError: The model's tokenizer or configuration cannot be read.
        ServerError: A server cannot be reached, or has another tokenizer.
    """
    replicas = open_replicas(urls)
    tokenizer, config = load_tokenizer(model.id), read_config(model.id)
    renderer = make_renderer(tokenizer, model.prompts, stored_end_tokens(model.id, tokenizer))
    embedded = config.get_text_config(decoder=True).vocab_size
    return RemoteSampler(replicas, renderer, max_positions(config), embedded), renderer
