"""What a run leaves of the clock: stages and their seconds, memory, and what happened when.

``metrics.jsonl`` is the same for the same run; whatever is not goes into ``journal.jsonl``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from alive.equivalence import given_up
from alive.store import RunFolder

__all__ = ["Journal"]


class Journal:
    """Times the stages of one run, and writes a line for each thing that happens."""

    def __init__(self, folder: RunFolder, device_memory: Callable[[], int]) -> None:
        """Begins to time.

        Args:
            folder: The run folder.
            device_memory: Most bytes used on an accelerator so far; 0 without one.
        """
        self._folder, self._device_memory = folder, device_memory
        self._seconds: dict[str, float] = {}
        self._stage, self._since = "", time.perf_counter()

    def stage(self, name: str) -> None:
        """Ends the stage that went on and begins another; an empty name is timed for nobody."""
        now = time.perf_counter()
        if self._stage:
            spent = self._seconds.get(self._stage, 0.0) + now - self._since
            self._seconds[self._stage] = spent
        self._stage, self._since = name, now

    def note(self, event: str, step: int, text: str = "", **details: Any) -> None:
        """Writes down that something happened.

        Args:
            event: What kind of thing, in a word.
            step: Training steps taken by then.
            text: What a person should read; may be empty.
            details: Further JSON values.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        message = {"text": text} if text else {}
        self._folder.append_journal(
            {"time": now, "event": event, "step": step, **message, **details}
        )

    def step(self, step: int, event: str = "step", text: str = "") -> float:
        """Writes what a step took: seconds by stage, and memory in bytes.

        Returns:
            Its seconds in all.
        """
        import psutil

        self.stage("")
        memory = {"resident": int(psutil.Process().memory_info().rss)}
        if on_device := self._device_memory():
            memory["device"] = on_device
        seconds = {name: round(spent, 4) for name, spent in self._seconds.items()}
        self._seconds = {}
        # No metric: what is remembered from before is not compared again after a resume.
        unjudged = {"given_up": count} if (count := given_up()) else {}
        self.note(event, step, text, seconds=seconds, memory=memory, **unjudged)
        return sum(seconds.values())
