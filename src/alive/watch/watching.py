"""All that looks on while a run goes on: the terminal, the journal, the report, trackers.

None of it changes what is computed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from alive.errors import Terminated
from alive.report import REPORT, render_report
from alive.store import Onlooker, RunFolder
from alive.trackers import Trackers
from alive.types import Episode, Role
from alive.watch.display import Display
from alive.watch.guard import Guard
from alive.watch.journal import Journal

EXAMPLE_EVERY = 20
"""Steps between the worked examples that are shown."""

REPORT_SECONDS = 15.0
"""Least time between two reports."""

REPORT_SHARE = 0.03
"""Most of a run's time that reports may take."""


class Watch:
    """Tells of one run as it goes on.

    Attributes:
        display: The terminal.
        journal: The clock's record.
    """

    def __init__(
        self,
        folder: RunFolder,
        display: Display,
        trackers: Trackers,
        device_memory: Callable[[], int],
    ) -> None:
        """Looks on at the run of a folder; see ``Journal`` for the last."""
        self.display, self.journal = display, Journal(folder, device_memory)
        self._folder, self._trackers, self._report_due = folder, trackers, 0.0
        self._silent = isinstance(folder, Onlooker)
        self._guard = Guard()
        self._returned: Counter[Role] = Counter()

    def begin(self, step: int, threads: int) -> None:
        """Says that the run begins, or goes on, after so many steps, on so many threads."""
        for notice in self._folder.notices:
            self.display.say(notice)
            self.journal.note("notice", step, notice)
        if self._folder.checkpoint:
            self.display.say(f"resuming after step {step}")
        self.display.say(f"report, updated as the run goes on: {self._folder.path / REPORT}")
        self.journal.note("resumed" if self._folder.resumed else "started", step, threads=threads)
        self.report()

    def stage(self, name: str) -> None:
        """Says what begins."""
        self._returned.clear()
        self.journal.stage(name)
        self.display.stage(name)

    def sampled(self, role: Role) -> None:
        """Tells that a request of this stage came back."""
        self._returned[role] += 1
        self.display.stage(f"{role} {self._returned[role]}")

    def step(
        self,
        step: int,
        done: int,
        episodes: Sequence[Episode],
        values: Mapping[str, Any],
        tokens: int,
    ) -> None:
        """Tells of a step that is recorded.

        Args:
            step: 0-based.
            done: What the progress bar counts.
            episodes: The step's; none where an earlier process played it.
            values: Its metrics.
            tokens: Sampled and trained in it.
        """
        seconds = self.journal.step(step)
        self._trackers.trained(step + 1, values, tokens, seconds)
        if "held_out" in values:
            share = 100 * values["held_out"]
            self.display.say(
                f"after step {step + 1}: {share:.0f} % of a few held-out problems right"
            )
        for line in self._guard.look(values):
            self._warn(f"after step {step + 1}", step, line)
        if episodes and step % EXAMPLE_EVERY == 0:
            self.display.example(episodes[0])
        loss = "-" if values["loss"] is None else f"{values['loss']:.3f}"
        self.display.advance(done, f"loss {loss}, right {values['pass_rate']:.2f}")
        self.report()

    def measuring(self, name: str) -> AbstractContextManager[None]:
        """Says that measuring takes a while."""
        self.journal.stage(name)
        return self.display.working(name)

    def measured(
        self,
        name: str,
        step: int,
        lines: Sequence[str],
        result: Mapping[str, Any] | None = None,
    ) -> None:
        """Tells that a measurement is done, what a person should know of it, and its measures."""
        for line in lines:
            self.display.say(line)
        self.journal.step(step, f"measured {name}", "\n".join(lines))
        if result:
            self._trackers.measured(step, result)
        self.report()

    def end(self, step: int, error: BaseException | None) -> None:
        """Says how it ended."""
        if error is None:
            self.journal.note("finished", step)
        elif isinstance(error, KeyboardInterrupt | Terminated):
            self.display.say(
                f"saved after step {step}" if step else "stopped before the first step"
            )
            self.journal.note("interrupted", step, getattr(error, "name", ""))
        else:
            self.journal.note("stopped", step, f"{type(error).__name__}: {error}")
        self.report(ended=True)

    def _warn(self, when: str, step: int, line: str) -> None:
        self.display.say(f"{when}: {line}")
        self.journal.note("guard", step, line)

    def close(self, code: int) -> None:
        """Lets the trackers go, whatever happened; ``code`` as ``exit_code`` gives it."""
        self._trackers.close(code)

    def report(self, ended: bool = False) -> None:
        """Writes the report anew, where it is time for it or the run has ended."""
        now = time.monotonic()
        if self._silent or (now < self._report_due and not ended):
            return
        self.journal.stage("report")
        self._folder.write_text(REPORT, render_report(self._folder.path, running=not ended))
        took = time.monotonic() - now
        self._report_due = now + took + max(REPORT_SECONDS, took / REPORT_SHARE)
        self.journal.stage("")
