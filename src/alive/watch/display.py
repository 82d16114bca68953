"""What a person sees while a run goes on: a bar a stage, and one worked example at a time.

Model and corpus text is shown as plain text, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from alive.report.text import passage_parts
from alive.types import Attempt, Episode, Review, Task


class Display:
    """The console of one run.

    Attributes:
        console: Where it is drawn.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress: Progress | None = None

    def say(self, text: str) -> None:
        """Prints one plain line."""
        self.console.print(Text(text))

    @contextmanager
    def bars(self, name: str, done: int, total: int) -> Iterator[None]:
        """Shows a bar for a stage of the run while the block runs; nothing without work."""
        if done >= total:
            yield
            return
        columns = (
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=self.console, transient=False) as progress:
            self._progress, self._name, self._told = progress, name, 0
            self._task = progress.add_task(name, total=total, completed=done)
            try:
                yield
            finally:
                progress.update(self._task, description=name)
                self._progress = None

    @contextmanager
    def working(self, name: str) -> Iterator[None]:
        """Says what takes a while: in the current bar, or without one."""
        if self._progress is not None:
            self.stage(name)
            yield
            return
        if not self.console.is_terminal:
            self.say(name)
        with self.console.status(Text(name)):
            yield

    def stage(self, name: str) -> None:
        """Says what is going on inside the current bar."""
        if self._progress is not None:
            self._progress.update(self._task, description=f"{self._name}: {name}")

    def advance(self, done: int, note: str = "") -> None:
        """Moves the current bar to ``done``; without a terminal every tenth call prints a line."""
        if self._progress is None:
            return
        self._progress.update(self._task, completed=done)
        self._told += 1
        task = self._progress.tasks[0]
        if not self.console.is_terminal and (self._told % 10 == 0 or task.finished):
            self.say(f"{self._name} {done:,}/{task.total:,.0f} {note}".rstrip())

    def example(self, episode: Episode) -> None:
        """Shows one task of an episode: passage, hidden span, an attempt, its review, what came."""
        chosen = _teachable(episode)
        if chosen is None:
            return
        task, attempt, review = chosen
        passage = Text()
        for part in passage_parts(task.passage, task.span):
            if part.hidden:
                passage.append(f"[{part.hidden}]", style="bold reverse")
            else:
                passage.append(part.text)
        outcome = Text(
            "right" if attempt.correct else "wrong", "green" if attempt.correct else "red"
        )
        rate = sum(a.correct for a in _group(episode, task)) / len(_group(episode, task))
        parts = [
            Text("passage, with the hidden span in brackets", "dim"),
            passage,
            Text.assemble(("\nattempt, ", "dim"), outcome),
            Text(attempt.rollout.text),
            Text("\nreview" if review.rollout else "\nreview, by the teacher", "dim"),
            Text(review.text),
        ]
        if revision := _corrected(episode, attempt):
            parts.append(Text.assemble(("\nrevision, ", "dim"), ("right", "green")))
            parts.append(Text(revision.rollout.text))
        body = Group(*parts)
        title = f"step {episode.step + 1}: {100 * rate:.0f} % of the attempts were right"
        self.console.print(Panel(body, title=title, title_align="left", width=88))


def _corrected(episode: Episode, attempt: Attempt) -> Attempt | None:
    """The revision of an attempt that came out right."""
    key = attempt.task_id, attempt.index
    corrected = (r for r in episode.revisions if r.correct and (r.task_id, r.index) == key)
    return next(corrected, None)


def _group(episode: Episode, task: Task) -> tuple[Attempt, ...]:
    return episode.attempts[episode.tasks.index(task)]


def _teachable(episode: Episode) -> tuple[Task, Attempt, Review] | None:
    """Prefers a wrong attempt that was then corrected, at a task that other attempts got right."""
    ranked: list[tuple[int, Task, Attempt, Review]] = []
    if not episode.reviews:
        return None
    for task, attempts, reviews in zip(
        episode.tasks, episode.attempts, episode.reviews, strict=True
    ):
        mixed = 0 < sum(attempt.correct for attempt in attempts) < len(attempts)
        for attempt, review in zip(attempts, reviews, strict=True):
            if not review.given:
                continue
            honest = review.verdict is attempt.correct
            corrected = _corrected(episode, attempt) is not None
            rank = 8 * corrected + 4 * mixed + 2 * honest + (not attempt.correct)
            ranked.append((rank, task, attempt, review))
    if not ranked:
        return None
    return max(ranked, key=lambda item: item[0])[1:]
