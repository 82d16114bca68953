"""What changes as a run goes on, and nothing else: a checkpoint holds all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter

from alive.errors import DivergenceError
from alive.game import Games
from alive.protocols import UpdateStats
from alive.roles.memory import Seen
from alive.types import TrainingRecord

SKIPS = 3
"""Steps left out in a row that end a run."""


@dataclass(slots=True)
class State:
    """The state of the game beside the policy's weights and moments.

    Attributes:
        step: Training steps taken.
        documents: Documents consumed.
        memory: Spans posed lately, by document.
        reviews: Review records of earlier steps by document, to be learned again.
        conditions: What each check found whether good words and bad ones separate, and before
            which step.
        proposed: Tasks the poser itself proposed, so far.
        filled: Tasks filled at random, so far.
        seconds: Time spent, earlier parts of a resumed run included.
        threads: CPU threads; a resumed run takes the same, for the same sums.
        choices: What the policy chose on this machine; a resumed run takes the same.
        skipped: Steps left out so far, as their loss was not finite.
        skipped_in_a_row: How many of them were the last ones.
        unwritten: The last step's line of metrics, until it is written.
        tokens_sampled: Completion tokens drawn for training, evaluations not counted.
        tokens_trained: Completion tokens that carried loss.
        corpus: What has been read, as the corpus reports it.
        upcoming: What was played of the next step already, by weights that are gone.
    """

    step: int = 0
    documents: int = 0
    memory: dict[str, dict[str, Seen]] = field(default_factory=dict)
    reviews: dict[str, list[TrainingRecord]] = field(default_factory=dict)
    conditions: list[dict[str, Any]] = field(default_factory=list)
    proposed: int = 0
    filled: int = 0
    seconds: float = 0.0
    threads: int = 0
    choices: dict[str, Any] = field(default_factory=dict)
    skipped: int = 0
    skipped_in_a_row: int = 0
    unwritten: dict[str, Any] = field(default_factory=dict)
    tokens_sampled: int = 0
    tokens_trained: int = 0
    corpus: dict[str, Any] = field(default_factory=dict)
    upcoming: Games | None = None

    @property
    def mark(self) -> tuple[int, int, bool]:
        """Differs between any two states of a run that may be saved."""
        return self.step, len(self.conditions), bool(self.unwritten)

    @property
    def taken(self) -> int:
        """Documents consumed, those that were played ahead included."""
        return self.documents + (len(self.upcoming.played) if self.upcoming else 0)

    @property
    def separates(self) -> bool:
        """Whether good words and bad ones did when last asked."""
        return not self.conditions or bool(self.conditions[-1]["separates"])

    def count(self, stats: UpdateStats) -> None:
        """Counts a step that was left out, or that the row of them is over."""
        self.skipped += stats.skipped
        self.skipped_in_a_row = self.skipped_in_a_row + 1 if stats.skipped else 0

    def check_skips(self) -> None:
        """Ends a run whose steps are left out one after another.

        Raises:
            DivergenceError: The last few were.
        """
        if self.skipped_in_a_row >= SKIPS:
            raise DivergenceError(
                f"the loss or its gradient norm was not finite in {self.skipped_in_a_row} steps in "
                "a row; they did not touch the weights, and the state is saved. Remedy: a new run "
                "with a lower learn.learning_rate, its --model the model folder of this run's last "
                "checkpoint."
            )

    def as_json(self) -> dict[str, Any]:
        """Returns the state as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> State:
        """Restores what ``as_json`` returned."""
        reviews = {
            document: [_record(record) for record in records]
            for document, records in saved.get("reviews", {}).items()
        }
        memory = {
            document: {span: Seen(*seen) for span, seen in spans.items()}
            for document, spans in saved["memory"].items()
        }
        upcoming = TypeAdapter(Games | None).validate_python(saved.get("upcoming"))
        return cls(**{**saved, "memory": memory, "reviews": reviews, "upcoming": upcoming})


def _record(saved: Mapping[str, Any]) -> TrainingRecord:
    tuples = {name: tuple(value) for name, value in saved.items() if isinstance(value, list)}
    return TrainingRecord(**{**saved, **tuples})
