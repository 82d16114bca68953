"""What a run holds while it goes on, and how it stops and resumes."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from itertools import islice
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Literal

from alive import measuring
from alive.config import Config
from alive.corpus import Corpus, open_corpus
from alive.errors import StorageError
from alive.evaluation import Suite, load_suite, texts
from alive.game import Played
from alive.metrics import step_metrics
from alive.prompts import Renderer
from alive.report import read_run, verdicts
from alive.state import State
from alive.store import RunFolder
from alive.trackers import exit_code, open_trackers, require_packages
from alive.types import (
    Document,
    Policy,
    Request,
    Rollout,
    Trained,
    TrainingKey,
    TrainingRecord,
    UpdateStats,
)
from alive.watch import Display, Watch

if TYPE_CHECKING:
    from rich.console import Console


class Session(AbstractContextManager["Session"]):
    """One run, open. Made by ``open``; leaving its block saves what is unsaved.

    Attributes:
        config: The settings.
        folder: The run folder, locked.
        policy: The policy.
        renderer: Its prompts.
        state: What has happened so far.
    """

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        policy: Policy,
        renderer: Renderer,
        corpus: Corpus,
        suites: Sequence[Suite],
        state: State,
        watch: Watch,
    ) -> None:
        """Takes over what ``open`` opened."""
        self.config, self.folder, self.policy, self.renderer = config, folder, policy, renderer
        self.state, self._corpus, self._suites = state, corpus, suites
        self._watch = watch
        self._stream: Iterator[Document] = corpus.documents("train", state.documents)
        self._measured: dict[str, Mapping[str, Any]] = {}
        self._saved_at = state.step if folder.checkpoint else -1
        self._began = time.monotonic() - state.seconds
        self._stop = self._at_rest = False
        self._handler: Any = None

    @classmethod
    def open(cls, config: Config, resume: bool, console: Console | None) -> Session:
        """Opens suites, corpus, model and folder, in the order in which mistakes are cheapest.

        Raises:
            UserError: One of them cannot be used.
        """
        from rich.console import Console as RichConsole

        from alive.engines.local import load_policy
        from alive.engines.probe import choose_threads

        require_packages(config.log)
        display = Display(console or RichConsole())
        suites = [
            load_suite(name, config.evaluate.limit, config.seed) for name in config.evaluate.suites
        ]
        later = [load_suite(name, 0, config.seed) for name in config.corpus.held_out]
        folder = RunFolder.create(config.out, config, resume)
        try:
            saved = folder.checkpoint.state() if folder.checkpoint else {}
            state = State.from_json(saved) if saved else State()
            state.threads = choose_threads(state.threads or config.model.threads)
            model = config.model.model_copy(update={"threads": state.threads})
            policy, renderer = load_policy(model, config.learn, config.seed)
            folder.check_model({"model": policy.identity, "prompts": renderer.templates.digest})
            if folder.checkpoint:
                policy.restore(
                    folder.checkpoint.model,
                    folder.checkpoint.tensors(),
                    version=state.step + state.formats_learned,
                )
                policy.usage = replace(
                    policy.usage,
                    tokens_sampled=state.tokens_sampled,
                    tokens_trained=state.tokens_trained,
                )
            kept_out = [*suites, *later]
            held_out = [text for suite in kept_out for text in texts(suite)]
            corpus = open_corpus(config.corpus, renderer.count_tokens, held_out, config.seed)
            trackers = open_trackers(config, folder, state.step)
            watch = Watch(folder, display, trackers, lambda: policy.usage.device_bytes)
        except BaseException:
            folder.abandon()
            raise
        return cls(config, folder, policy, renderer, corpus, suites, state, watch)

    def __enter__(self) -> Session:
        """Begins the record, and takes over Ctrl-C: the first one stops at the next safe point."""
        self._watch.begin(self.state.step, self.state.threads)
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Saves the state of the last whole step, if there is one, whatever ended the block."""
        code = 1
        try:
            taken = self.state.step + self.state.formats_learned
            begun = bool(taken or self.state.conditions)
            # Weights that changed without their step being recorded are no state to go on from.
            whole = self.policy.version == taken
            if begun and whole and not isinstance(error, StorageError):
                self.save()
            if not isinstance(error, StorageError):
                self._watch.end(self.state.step, error)
            code = exit_code(error)
        finally:
            with ExitStack() as last:  # last in, first out, and all of them
                if self._handler is not None:
                    last.callback(signal.signal, signal.SIGINT, self._handler)
                last.callback(self.folder.close)
                last.callback(self._watch.close, code)

    def bars(self, name: str, done: int, total: int) -> AbstractContextManager[None]:
        """Shows a progress bar while its block runs; nothing where there is nothing to do."""
        return self._watch.display.bars(name, done, total)

    def stage(self, name: str) -> None:
        """Says what begins; a safe point at which Ctrl-C takes effect.

        Raises:
            KeyboardInterrupt: It was pressed.
        """
        if self._stop:
            raise KeyboardInterrupt
        self._watch.stage(name)

    async def sample(self, request: Request) -> list[Rollout]:
        """Asks the policy, so that a run is the sampler of its own games, and tells of it.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed: whenever rollouts come back is a safe point.
        """
        rollouts = await self.policy.sample(request)
        if self._stop:
            raise KeyboardInterrupt
        self._watch.sampled(request.prompt.role)
        return rollouts

    @property
    def extent(self) -> tuple[int, int]:
        """What is done and what is to do: steps, or tokens where a budget ends the run."""
        state, budget = self.state, self.config.budget_tokens
        if not budget:
            return state.step, self.config.steps
        return min(budget, state.tokens_sampled + state.tokens_trained), budget

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0..1: of its steps, or of its tokens if that is more."""
        done, total = self.extent
        return max(self.state.step / self.config.steps, done / total)

    def next_documents(self) -> list[Document]:
        """Takes the next D documents of the train split."""
        documents = list(islice(self._stream, self.config.game.documents_per_step))
        self._taken = len(documents)
        return documents

    def formats_step_done(self, records: Sequence[TrainingRecord], stats: UpdateStats) -> None:
        """Records a format step, and counts it."""
        taken = self.state.formats_learned
        self.folder.write_records("format", taken, records, (), self.renderer.show)
        self.state.format_losses.append(stats.role_loss)
        self.state.documents += self._taken
        self.state.formats_learned += 1
        self._settle()
        self._watch.formats(taken, taken + 1, stats)
        self.stage("formats")

    def record(
        self,
        played: Sequence[Played],
        trained: Mapping[TrainingKey, Trained],
        records: Sequence[TrainingRecord],
        replayed: Sequence[TrainingRecord],
        stats: UpdateStats,
    ) -> None:
        """Writes what a step played and learned, counts the step, saves when it is time."""
        state, step = self.state, self.state.step
        tokens = state.tokens_sampled + state.tokens_trained
        episodes = [one.episode for one in played]
        self.folder.write_episode(step, episodes, trained, self.renderer.show)
        self.folder.write_records("step", step, records, replayed, self.renderer.show)
        values = step_metrics(played, trained, replayed, stats)
        every = self.config.evaluate.every
        if every and self._suites and (step + 1) % every == 0:
            self.stage("look")
            values["held_out"] = measuring.look(
                self.policy, self.renderer, self._suites, self.config
            )
        self.folder.append_metrics(step, values)
        for one in played:
            state.memory |= {task.id for task in one.episode.tasks}
            state.proposed += one.proposed
            state.filled += one.filled
        state.documents += self._taken
        self._settle()
        state.step += 1
        tokens = state.tokens_sampled + state.tokens_trained - tokens
        self._watch.step(step, self.extent[0], episodes, values, tokens)
        if state.step % self.config.checkpoint_every == 0:
            self.save()

    def save(self) -> None:
        """Saves a checkpoint of the last whole step, once."""
        state = self.state
        if self._saved_at == state.step and state.step:
            return
        state.seconds = time.monotonic() - self._began
        self.folder.save_checkpoint(
            state.step, self.policy.save, self.policy.tensors(), state.as_json()
        )
        self._saved_at = state.step
        self._watch.journal.note("checkpoint", state.step)

    def check_conditions(self) -> None:
        """Checks, once a run, that the positive and the negative condition separate."""
        if self.state.conditions or not self.config.game.conditioned:
            return
        with self._measures("measuring, good words against bad"):
            found = measuring.separation(self.policy, self.renderer, self._corpus, self.config)
        self.state.conditions = found.as_dict()
        self.state.conditioned = found.separates
        self._settle()
        lines = measuring.describe(found, self.renderer)
        self._watch.measured("conditions", self.state.step, lines)

    def evaluate(self, when: Literal["before", "after"]) -> None:
        """Evaluates the policy on the suites, ``before`` once a run.

        The attempts on which the reviewer was judged before are those it is judged on after.
        """
        if not self._suites:
            return
        stored = self.folder.read_json("before.json")
        if stored is None or when == "after":
            with self._measures(f"measuring, {when} training"):
                used = self.policy.usage
                result, stored = measuring.on_suites(
                    self.policy, self.renderer, self._suites, self.config, stored
                )
                # Measuring is no training; a resumed run may measure more or less often.
                self.policy.usage = used
            self.folder.write_json(f"{when}.json", stored)
            self._watch.measured(when, self.state.step, result.notes, stored["result"])
        self._measured[when] = stored

    def summarise(self) -> dict[str, Any]:
        """Writes and returns the summary."""
        self.save()
        seconds = time.monotonic() - self._began
        found = measuring.summary(self.config, self.state, self._measured, seconds)
        run = replace(read_run(self.folder.path, running=True), summary=found)
        found["verdicts"] = verdicts(run)
        self.folder.write_json("summary.json", found)
        return found

    def _settle(self) -> None:
        """Takes counts over at whole steps alone: what a resumed run does again counts once."""
        self.state.tokens_sampled = self.policy.usage.tokens_sampled
        self.state.tokens_trained = self.policy.usage.tokens_trained
        self.state.corpus = self._corpus.report.as_dict()

    @contextmanager
    def _measures(self, name: str) -> Iterator[None]:
        """Lets Ctrl-C take effect at once while its block runs: measuring changes no state."""
        self._at_rest = True
        try:
            with self._watch.measuring(name):
                yield
        finally:
            self._at_rest = False

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._stop or self._at_rest:
            raise KeyboardInterrupt
        self._stop = True
        self._watch.display.say(
            "stopping at the next safe point; press Ctrl-C again to stop at once"
        )
