"""Arms: each one pure function from an episode to training records."""

from __future__ import annotations

from alive.arms import alive, baselines, own
from alive.config import ARMS, Config
from alive.errors import ConfigError
from alive.prompts import Renderer
from alive.types import Episode, Trained, TrainingKey, TrainingRecord

__all__ = ["check", "hints", "records", "reviews"]


def check(config: Config) -> None:
    """Refuses settings that a run's arm cannot learn from.

    Raises:
        ConfigError: An arm of the user's own that cannot be used, or a policy gradient from
            completions that were not drawn as the policy writes.
    """
    if config.arm not in ARMS:
        own.load(config.arm)
    if config.arm == "grpo":
        _check_sampling(config)


def _check_sampling(config: Config) -> None:
    """Refuses a policy gradient at another temperature or a smaller nucleus than 1.

    The log-probabilities would not be those of the policy that wrote the completions.
    """
    for name, value in (
        ("temperature", config.sampling.temperature),
        ("top_p", config.sampling.top_p),
    ):
        if value != 1:
            raise ConfigError(
                f"sampling.{name} is {value:g}; arm {config.arm} needs 1. "
                f"Add --set sampling.{name}=1"
            )


def reviews(config: Config) -> bool:
    """Tells whether a run's arm may learn from reviews at all.

    Of one that may not attempts are left as they are, too: who came to no answer is wrong.
    """
    return config.arm not in ("rft", "grpo", "star")


def hints(config: Config) -> bool:
    """Tells whether wrong attempts are tried again with the hidden text as a hint."""
    return config.arm == "star"


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
        The records, and the outcome of each attempt.
    """
    if config.arm == "grpo":
        return baselines.grpo(episode)
    if config.arm == "rft":
        return baselines.rft(episode)
    if config.arm == "star":
        return baselines.star(episode, renderer)
    if config.arm not in ARMS:
        arm = own.load(config.arm)
        returned = arm(episode, renderer, config, conditioned=conditioned, warm=warm)
        learned, outcomes = own.checked(returned, config.arm)
        if any(record.loss == "policy_gradient" for record in learned):
            _check_sampling(config)
        if any(record.loss == "distil" for record in learned) and not config.learn.distil_weight:
            raise ConfigError(
                f"arm {config.arm} distils; say how much: --set learn.distil_weight=1"
            )
        return learned, outcomes
    return alive.records(
        episode, renderer, config.learn, conditioned=conditioned, privileged_too=warm
    )
