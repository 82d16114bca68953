"""The whole algorithm, top to bottom.

Warm-up comes before a policy is on its own; every later step is its alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from alive import arms
from alive.arms.rehearsal import LEAST, rehearsed, remembered
from alive.config import Config
from alive.engines.together.ranks import join_ranks
from alive.playing import begun, goes_ahead, merged, opened
from alive.seeding import derive
from alive.session import Session
from alive.sizing import settled
from alive.trackers import require_packages
from alive.types import Trained, TrainingKey, TrainingRecord

if TYPE_CHECKING:
    from rich.console import Console

    from alive.engines.together.replicas import Replica

RAMP = 5
"""Steps over which the learning rate rises to its value; Adam's first moments are noisy."""

ENOUGH = 1024
"""Tokens from which a step earns its full rate: Adam moves weights as far for few as for many."""


def train(
    config: Config,
    resume: bool = False,
    console: Console | None = None,
    replicas: Sequence[Replica] = (),
) -> dict[str, Any]:
    """Runs the game on raw text and leaves a better policy in the run folder.

    Args:
        config: All settings; ``config.out`` names the run folder.
        resume: Continue the run in that folder from its last sound checkpoint.
        console: Where progress is shown; None for a default one.
        replicas: Processes that sample in this one's place; none: it does so itself.

    Returns:
        The summary, as in ``summary.json``.

    Raises:
        UserError: Settings, corpus, model, suite or folder are unusable; nothing was changed.
        DivergenceError: The loss of several steps in a row was not finite; the state was saved.
        KeyboardInterrupt: Ctrl-C, after the state was saved.
        Terminated: SIGTERM or SIGHUP, after the state was saved.
    """
    arms.check(config)
    require_packages(config.log)
    ranks = join_ranks()
    config = ranks.gather(settled(config, resume=resume))[0]
    with Session.open(config, resume, console, ranks, replicas) as run:
        run.evaluate("before")
        with run.bars("training", *run.extent):
            run.finish_step()
            while run.progress < 1:
                run.check_conditions()
                step(run)
        run.evaluate("after")
        return run.summarise()


def step(run: Session) -> None:
    """One step: play D documents, turn what happened into records, learn them, keep the record.

    Several ranks share out the documents, and then the passes of learning. With a staleness of 1
    the next step is played while this one is learned.
    """
    config, state = run.config, run.state
    if state.step == config.warmup.steps:
        state.reviews = {}  # a teacher's words are rehearsed no longer than they are given
    run.stage("play")
    games = state.upcoming or merged(run.ranks, opened(run, state.step, run)())
    records: list[TrainingRecord] = []
    trained: dict[TrainingKey, Trained] = {}
    for game in games.played:
        episode_records, outcomes = arms.records(
            game.episode, run.renderer, config, conditioned=games.conditioned, warm=games.warm
        )
        records += episode_records
        trained |= outcomes
    run.stage("learn")
    seed = derive(config.seed, "rehearsal", state.step)
    replayed = rehearsed(state.reviews, records, LEAST, seed)
    rate = learning_rate(config, state.step, records + replayed, run.progress)
    ahead = begun(opened(run, state.step + 1, run.policy)) if goes_ahead(run) else None
    stats = run.policy.update(records + replayed, rate)
    upcoming = merged(run.ranks, ahead.result()) if ahead else None
    run.policy.publish()
    state.reviews = remembered(state.reviews, records)
    run.record(games, trained, records, replayed, stats, upcoming)


def learning_rate(
    config: Config, step: int, records: Sequence[TrainingRecord], progress: float = 0.0
) -> float:
    """The peak after a short linear ramp, and from there on a line down to a tenth.

    A step of few tokens has a noisier gradient, and Adam's step does not shrink with it: the rate
    falls with the square root of the tokens, as is right for Adam (arXiv 2205.10287).

    Args:
        config: The run's settings.
        step: Steps taken.
        records: What this step learns.
        progress: Share of the run that is done, 0..1.
    """
    tokens = sum(len(record.completion_ids) for record in records if record.weight)
    share = math.sqrt(min(1.0, tokens / ENOUGH))
    return config.learn.learning_rate * min(1.0, (step + 1) / RAMP) * (1 - 0.9 * progress) * share
