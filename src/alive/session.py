"""What a run holds while it goes on, and how it stops and resumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from alive import measuring
from alive.config import Config
from alive.effect import with_likelihoods
from alive.engines.together.dealt import DealtSampler
from alive.errors import StorageError
from alive.game import Games
from alive.metrics import step_metrics
from alive.opening import Opened, open_run
from alive.protocols import Request, Sampler, UpdateStats
from alive.ranks import ALONE, Ranks
from alive.report import read_run, verdicts
from alive.roles.memory import remembered
from alive.saving import Saver
from alive.signals import Signals
from alive.trackers import exit_code
from alive.types import Document, Episode, Rollout, Trained, TrainingKey, TrainingRecord

if TYPE_CHECKING:
    from rich.console import Console

    from alive.engines.together.replicas import Replica


class Session(AbstractContextManager["Session"]):
    """One run, open. Made by ``open``; leaving its block saves what is unsaved.

    Attributes:
        config: The settings.
        folder: The run folder, locked.
        policy: The policy.
        renderer: Its prompts.
        state: What has happened so far.
        ranks: Who makes it together; what is said here of one holds for each.
    """

    def __init__(self, config: Config, opened: Opened) -> None:
        """Takes over what ``open_run`` opened."""
        self.config, self.folder, self.ranks = config, opened.folder, opened.ranks
        self.policy, self.renderer, self.state = opened.policy, opened.renderer, opened.state
        self._corpus, self._suites, self._watch = opened.corpus, opened.suites, opened.watch
        taken = self.state.documents + len(
            self.state.upcoming.played if self.state.upcoming else ()
        )
        self._stream: Iterator[Document] = opened.corpus.documents("train", taken)
        self._measured: dict[str, Mapping[str, Any]] = {}
        note, say = self._watch.journal.note, self._watch.display.say
        self._saver = Saver(config, self.folder, self.policy, self.state, note, self.ranks)
        self._signals = Signals(lambda: self._whole, say, together=self.ranks.size > 1)
        self.policy.guard = self._signals.uninterrupted
        self._alone, self._agreed = self.ranks.size == 1, False
        self._together: Sampler = (  # what is measured alike on every rank
            self.policy if self._alone else DealtSampler(self.policy, self.ranks, self._safe_point)
        )

    @classmethod
    def open(
        cls,
        config: Config,
        resume: bool,
        console: Console | None,
        ranks: Ranks = ALONE,
        replicas: Sequence[Replica] = (),
    ) -> Session:
        """Opens a new run or, to ``resume``, the one in its folder; see ``open_run``.

        Raises:
            UserError: Some part of it cannot be used.
        """
        return cls(config, open_run(config, resume, console, ranks, replicas))

    def __enter__(self) -> Session:
        """Begins the record, and takes over the signals that end a run."""
        self._watch.begin(self.state.step, self.state.threads)
        self._signals.take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Saves the state of the last whole step, if there is one, whatever ended the block."""
        self._signals.end()
        code = 1
        try:
            begun = any(self.state.mark)
            # Whoever holds a part alone cannot save where others do not stop as well.
            able = self.policy.saves_alone or self._agreed or error is None
            if begun and able and self._whole and not isinstance(error, StorageError):
                self._saver.save()
            if not isinstance(error, StorageError):
                self._watch.end(self.state.step, error)
            code = exit_code(error)
        finally:
            with ExitStack() as last:  # last in, first out, and all of them
                last.callback(self._signals.give_back)
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
        self._safe_point()
        self._watch.stage(name)

    async def sample(self, request: Request) -> list[Rollout]:
        """Asks the policy, so that a run is the sampler of its own games, and tells of it.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed: whenever rollouts come back is a safe point of a
                lone process.
        """
        rollouts = await self.policy.sample(request)
        if self._alone:  # several ranks stop together
            self._signals.safe_point()
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

    def next_documents(self, count: int) -> list[Document]:
        """Takes the next documents of the train split."""
        return list(islice(self._stream, count))

    def record(
        self,
        games: Games,
        trained: Mapping[TrainingKey, Trained],
        records: Sequence[TrainingRecord],
        replayed: Sequence[TrainingRecord],
        stats: UpdateStats,
        upcoming: Games | None,
    ) -> None:
        """Writes what a step played and learned, and counts the step.

        Args:
            games: What was played.
            trained: What learning made of each attempt.
            records: What was learned of the games.
            replayed: Earlier records that were learned again.
            stats: What the optimiser step did.
            upcoming: What was played of the next step already.

        Raises:
            DivergenceError: See ``finish_step``.
        """
        state, step = self.state, self.state.step
        tokens = state.tokens_sampled + state.tokens_trained
        episodes = [game.episode for game in games.played]
        trained = with_likelihoods(episodes, trained, records, stats.likelihoods, self.renderer)
        with self._signals.uninterrupted():
            self.folder.write_episode(step, episodes, trained, self.renderer.show)
            self.folder.write_records(step, records, replayed, self.renderer.show)
            state.memory = remembered(state.memory, episodes, step)
            for game in games.played:
                state.proposed += game.proposed
                state.filled += game.filled
            state.documents += len(games.played)
            state.count(stats)
            state.tokens_sampled += games.sampled
            state.tokens_trained += stats.tokens
            state.corpus = self._corpus.report.as_dict()
            state.unwritten = step_metrics(games.played, trained, replayed, stats)
            if state.conditions and state.conditions[-1]["step"] == step:
                state.unwritten["words_gap"] = state.conditions[-1]["gap"]
            state.step, state.upcoming = state.step + 1, upcoming
            tokens = state.tokens_sampled + state.tokens_trained - tokens
            if not self._looks:
                self.finish_step(episodes, tokens)
        # A look takes a while, in which signals are answered.
        self.finish_step(episodes, tokens)

    def finish_step(self, episodes: Sequence[Episode] = (), tokens: int = 0) -> None:
        """Writes the last step's line of metrics, if it is not written yet; saves when it is time.

        The look at held-out problems that it may need takes a while: a run that is stopped in it
        has its step, and takes the look again when it is resumed.

        Args:
            episodes: The step's, to be shown.
            tokens: Sampled and trained in it.

        Raises:
            DivergenceError: The step was left out, and so were those before it.
        """
        state = self.state
        if not state.unwritten:
            return
        values = dict(state.unwritten)
        if self._looks:
            self.stage("look")
            with self._at_rest():
                values["held_out"] = measuring.look(
                    self._together, self.renderer, self._suites, self.config
                )
        with self._signals.uninterrupted():
            self.folder.append_metrics(state.step - 1, values)
            state.unwritten = {}
            self._watch.step(state.step - 1, self.extent[0], episodes, values, tokens)
            self._saver.save_if_due(stepped=True)
        self.state.check_skips()

    def check_conditions(self) -> None:
        """Checks whether good words and bad ones separate, where it is time to.

        That is once a teacher has fallen silent, and every ``evaluate.conditions_every`` steps.
        """
        state, first = self.state, self.config.warmup.steps
        every = self.config.evaluate.conditions_every
        due = state.step == first or (every and (state.step - first) % every == 0)
        asked = state.conditions and state.conditions[-1]["step"] == state.step
        if not self.config.game.conditioned or state.step < first or asked or not due:
            return
        used = self.policy.usage.tokens_sampled
        with self._measures("measuring, good words against bad"):
            separation = measuring.separation(
                self._together, self.renderer, self._corpus, self.config
            )
        with self._signals.uninterrupted():
            state.conditions.append({"step": state.step, **separation.as_dict()})
            state.tokens_sampled += sum(self.ranks.gather(self.policy.usage.tokens_sampled - used))
            lines = measuring.describe(separation, self.renderer)
            self._watch.measured("conditions", state.step, lines)
            self._saver.save_if_due()

    def evaluate(self, when: Literal["before", "after"]) -> None:
        """Evaluates the policy on the suites, ``before`` once a run.

        The attempts on which the reviewer was judged before are those it is judged on after.
        """
        if not self._suites:
            return
        stored = self.folder.read_json("before.json")
        if stored is None or when == "after":
            with self._measures(f"measuring, {when} training"):
                result, stored = measuring.on_suites(
                    self._together, self.renderer, self._suites, self.config, stored
                )
            self.folder.write_json(f"{when}.json", stored)
            self._watch.measured(when, self.state.step, result.notes, stored["result"])
        self._measured[when] = stored

    def summarise(self) -> dict[str, Any]:
        """Writes and returns the summary."""
        with self._signals.uninterrupted():
            self._saver.save()
        summary = measuring.summary(self.config, self.state, self._measured, self._saver.seconds)
        if self.ranks.rank == 0:
            run = replace(read_run(self.folder.path, running=True), summary=summary)
            summary["verdicts"] = verdicts(run)
            self.folder.write_json("summary.json", summary)
        return self.ranks.gather(summary)[0]

    @property
    def _looks(self) -> bool:
        """Whether the last step ends with a look at held-out problems."""
        every = self.config.evaluate.every
        return bool(every and self._suites and self.state.step % every == 0)

    @property
    def _whole(self) -> bool:
        """Whether the weights are those of the last recorded step.

        Others, whose step is not recorded, are no state to go on from.
        """
        return self.policy.version == self.state.step

    def _safe_point(self) -> None:
        """A point at which Ctrl-C on any rank takes effect on all."""
        asked = max(self.ranks.gather(self._signals.asked))
        self._agreed = asked > 0
        self._signals.safe_point(asked)

    def _at_rest(self) -> AbstractContextManager[None]:
        """Lets Ctrl-C take effect at once while its block runs; on several ranks soon."""
        return self._signals.at_rest() if self._alone else nullcontext()

    @contextmanager
    def _measures(self, name: str) -> Iterator[None]:
        """Says what is measured while its block runs."""
        with self._at_rest(), self._watch.measuring(name):
            yield
