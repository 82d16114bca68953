"""Arms: each one pure function from an episode to training records."""

from __future__ import annotations

from alive.arms import alive, baselines, own
from alive.config import ARMS, Config
from alive.errors import ConfigError
from alive.prompts import Renderer
from alive.types import Episode, Trained, TrainingKey, TrainingRecord

__all__ = ["check", "records", "reviews"]


def check(config: Config) -> None:
    """Refuses settings that a run's arm cannot learn from.

    Raises:
        ConfigError: An arm of the user's own that cannot be used, or a policy gradient from
            completions drawn at another temperature than 1: their log-probabilities would not be
            those of the policy that wrote them.
    """
    if config.arm not in ARMS:
        own.load(config.arm)
    if config.arm == "grpo" and config.sampling.temperature != 1:
        raise ConfigError(
            f"sampling.temperature is {config.sampling.temperature:g}; arm grpo needs 1. "
            "Add --set sampling.temperature=1"
        )


def reviews(config: Config) -> bool:
    """Tells whether a run's arm may learn from reviews at all."""
    return config.arm not in ("rft", "grpo")


def records(
    episode: Episode, renderer: Renderer, config: Config, *, conditioned: bool, warm: bool
) -> tuple[list[TrainingRecord], dict[TrainingKey, Trained]]:
    """Turns an episode into what the policy of a run learns from it.

    Args:
        episode: One document's game.
        renderer: Renders the training prompts.
        config: The run's settings.
        conditioned: Whether attempts were sampled, and train, under words.
        warm: Whether the reviews are a teacher's.

    Returns:
        The records, and the fate of each attempt.
    """
    if config.arm == "grpo":
        return baselines.grpo(episode)
    if config.arm == "rft":
        return baselines.rft(episode)
    if config.arm not in ARMS:
        arm = own.load(config.arm)
        made = arm(episode, renderer, config, conditioned=conditioned, warm=warm)
        return own.checked(made, config.arm)
    return alive.records(
        episode, renderer, config.learn, conditioned=conditioned, privileged_too=warm
    )
