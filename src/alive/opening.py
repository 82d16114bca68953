"""Opens all that a run needs, new or resumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alive.config import Config
from alive.corpus import Corpus, open_corpus
from alive.evaluation import Suite, load_suite, texts
from alive.measuring import require_spans
from alive.prompts import Renderer
from alive.protocols import Policy
from alive.ranks import Ranks
from alive.state import State
from alive.store import Onlooker, RunFolder
from alive.trackers import Trackers, open_trackers
from alive.warmup import open_endpoint
from alive.watch import Display, Watch

if TYPE_CHECKING:
    from rich.console import Console

    from alive.engines.server import Replica as Server
    from alive.engines.together.replicas import Replica

__all__ = ["Opened", "open_run"]


@dataclass(frozen=True, slots=True)
class Opened:
    """What a run works with.

    Attributes:
        folder: The run folder, locked.
        policy: The policy, as the checkpoint has it where there is one.
        renderer: Its prompts.
        corpus: The texts, without those held out.
        suites: What the run is evaluated on.
        state: What has happened so far.
        watch: Display, journal and trackers.
        ranks: Who makes the run together.
    """

    folder: RunFolder
    policy: Policy
    renderer: Renderer
    corpus: Corpus
    suites: Sequence[Suite]
    state: State
    watch: Watch
    ranks: Ranks


def open_run(
    config: Config,
    resume: bool,
    console: Console | None,
    ranks: Ranks,
    replicas: Sequence[Replica] = (),
) -> Opened:
    """Opens suites, folder, model and corpus, in the order in which mistakes are cheapest.

    The first rank goes ahead; the others take from it what has to be the same.

    Raises:
        UserError: One of them cannot be used.
    """
    from rich.console import Console as RichConsole

    from alive.engines.context import check_context
    from alive.engines.server import open_replicas

    if config.warmup.steps:
        open_endpoint(config)
    servers = open_replicas(config.sampling.servers)
    first = ranks.rank == 0
    display = Display((console or RichConsole()) if first else RichConsole(quiet=True))
    suites = [
        load_suite(name, config.evaluate.limit, config.seed) for name in config.evaluate.suites
    ]
    # Whatever part of a suite is measured, none of it may be read.
    whole = [
        load_suite(name, 0, config.seed)
        for name in (*config.evaluate.suites, *config.corpus.held_out)
    ]
    check_context(config)
    folder = _folder(config, resume, ranks)
    try:
        policy, renderer, state = _load(config, folder, ranks, servers, replicas)
        held_out = [text for suite in (*suites, *whole) for text in texts(suite)]
        corpus = open_corpus(config.corpus, renderer.count_tokens, held_out, config.seed)
        require_spans(corpus, config)
        if (left_out := corpus.report.losses()) != "nothing":
            display.say(f"Corpus: read {corpus.report.files}; left out {left_out}")
        trackers = open_trackers(config, folder, state.step) if first else Trackers(())
        watch = Watch(folder, display, trackers, lambda: policy.usage.device_bytes)
    except BaseException:
        folder.abandon()
        raise
    return Opened(folder, policy, renderer, corpus, suites, state, watch, ranks)


def _folder(config: Config, resume: bool, ranks: Ranks) -> RunFolder:
    """Opens the run's folder on the first rank; the others look on."""
    if ranks.rank:
        path, checkpoint = ranks.gather((Path(), None))[0]
        return Onlooker(path, config, resume, checkpoint)
    folder = RunFolder.create(config.out, config, resume)
    ranks.gather((folder.path, folder.checkpoint))
    return folder


def _load(
    config: Config,
    folder: RunFolder,
    ranks: Ranks,
    servers: Sequence[Server],
    replicas: Sequence[Replica],
) -> tuple[Policy, Renderer, State]:
    """Loads the model, and goes back to the folder's checkpoint where there is one."""
    from alive.engines.local import load_policy
    from alive.engines.probe import choose_threads
    from alive.engines.server import load_served
    from alive.engines.together.replicated import load_replicated

    saved = folder.checkpoint.state() if folder.checkpoint else {}
    state = State.from_json(saved) if saved else State()
    if ranks.rank:
        # What the first one found on its machine: all compute in the same type.
        state.choices, state.threads = ranks.gather((state.choices, state.threads))[0]
    state.threads = choose_threads(state.threads or config.model.threads)
    model = config.model.model_copy(update={"threads": state.threads})
    policy: Policy
    if servers:
        policy, renderer = load_served(config, model, folder.path, servers, state.choices, ranks)
    elif replicas:
        policy, renderer = load_replicated(
            config, model, folder.path, replicas, state.choices, ranks
        )
    else:
        policy, renderer = load_policy(model, config.learn, config.seed, state.choices, ranks)
    if not ranks.rank:
        ranks.gather((dict(policy.choices), state.threads))
    if config.shows_text:
        renderer.inform("", "")  # refused before anything is played
    folder.check_model(
        {"model": policy.identity, "dtype": policy.choices["dtype"], **renderer.identity}
    )
    state.choices = dict(policy.choices)
    if folder.checkpoint:
        policy.restore(
            folder.checkpoint.model,
            folder.checkpoint.tensors(),
            version=state.step,
        )
    else:
        policy.publish()  # whoever samples elsewhere has no weights yet
    return policy, renderer, state
