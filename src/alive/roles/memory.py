"""Which spans were posed lately, and what came of them: nothing is asked over and over. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from alive.types import Episode

__all__ = ["FORGET", "Memory", "Seen", "remembered"]

FORGET = 100
"""Steps after which a task may be posed as if it were new: the policy is another one by then."""


class Seen(NamedTuple):
    """When a span of a document was last posed.

    Attributes:
        step: The training step.
        mixed: Whether some of the attempts were right and some wrong: there is more to learn.
    """

    step: int
    mixed: bool


Memory = Mapping[str, Mapping[str, Seen]]
"""Document -> span -> when it was last posed."""


def remembered(
    memory: Memory, episodes: Iterable[Episode], step: int
) -> dict[str, dict[str, Seen]]:
    """Returns the memory with a step's tasks, without what was posed ``FORGET`` steps before it."""
    kept = {
        document: {span: seen for span, seen in spans.items() if step - seen.step < FORGET}
        for document, spans in memory.items()
    }
    for episode in episodes:
        spans = kept.setdefault(episode.document.id, {})
        for task, attempts in zip(episode.tasks, episode.attempts, strict=True):
            outcomes = {attempt.correct for attempt in attempts}
            spans[task.span] = Seen(step, len(outcomes) == 2)
    return {document: spans for document, spans in kept.items() if spans}
