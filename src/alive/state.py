"""What changes as a run goes on, and nothing else: a checkpoint holds all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from alive.errors import DivergenceError
from alive.protocols import UpdateStats
from alive.types import TrainingRecord

SKIPS = 3
"""Steps left out in a row that end a run."""


@dataclass(slots=True)
class State:
    """The state of the game beside the policy's weights and moments.

    Attributes:
        step: Training steps taken.
        formats_learned: Format steps taken before them.
        format_losses: Their losses, nats a token of posing and solving, before each step.
        documents: Documents consumed.
        memory: Ids of the tasks posed so far; none is posed twice.
        reviews: Review records of earlier steps by document, to be learned again.
        conditioned: Whether conditions were found to separate.
        conditions: What that check found; empty before it.
        proposed: Tasks the poser itself proposed, so far.
        filled: Tasks filled at random, so far.
        seconds: Time spent, earlier parts of a resumed run included.
        threads: CPU threads; a resumed run takes the same, for the same sums.
        choices: What the policy chose on this machine; a resumed run takes the same.
        skipped: Steps left out so far, format steps included, as their loss was not finite.
        skipped_in_a_row: How many of them were the last ones.
        unwritten: The last step's line of metrics, until it is written.
        tokens_sampled: Completion tokens drawn for training, evaluations not counted.
        tokens_trained: Completion tokens that carried loss.
        corpus: What has been read, as the corpus reports it.
    """

    step: int = 0
    formats_learned: int = 0
    format_losses: list[dict[str, float]] = field(default_factory=list)
    documents: int = 0
    memory: set[str] = field(default_factory=set)
    reviews: dict[str, list[TrainingRecord]] = field(default_factory=dict)
    conditioned: bool = True
    conditions: dict[str, Any] = field(default_factory=dict)
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

    @property
    def mark(self) -> tuple[int, int, bool, bool]:
        """Differs between any two states of a run that may be saved."""
        return self.step, self.formats_learned, bool(self.conditions), bool(self.unwritten)

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
        return {**asdict(self), "memory": sorted(self.memory)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> State:
        """Restores what ``as_json`` returned."""
        reviews = {
            document: [_record(record) for record in records]
            for document, records in saved.get("reviews", {}).items()
        }
        return cls(**{**saved, "memory": set(saved["memory"]), "reviews": reviews})


def _record(saved: Mapping[str, Any]) -> TrainingRecord:
    tuples = {name: tuple(value) for name, value in saved.items() if isinstance(value, list)}
    return TrainingRecord(**{**saved, **tuples})
